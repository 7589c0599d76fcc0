// The page whose button logs out at the authorization server when that is too long for a URL; no script.
import { escapeHtml } from './page.ts'
import { PAGE_HEADERS } from './response-policy.ts'

/** A form that a person sends with one button. */
export interface LogoutForm {
  readonly endpoint: string
  readonly params: Readonly<Record<string, string>>
}

/**
 * The page.
 *
 * @param form the end-session request
 */
export function logoutPage ({ endpoint, params }: LogoutForm): string {
  const fields = Object.entries(params)
    .map(([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Logged out of this app</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.6 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center }
main { max-width: 32rem; padding: 2rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem }
button { font: inherit; margin-top: 1rem; padding: .6rem 1.2rem; border: 0; border-radius: .5rem; background: #8a4b2a; color: #fff }
button:focus-visible { outline: 3px solid #d99a6c; outline-offset: 2px }
</style>
</head>
<body>
<main>
<h1>You are logged out of this app</h1>
<p>One step is left: log out where you logged in, too.</p>
<form method="post" action="${escapeHtml(endpoint)}">
${fields.join('\n')}
<button type="submit" autofocus>Log out there</button>
</form>
</main>
</body>
</html>
`
}

/**
 * The headers of the page: its form may go to the authorization server, and by way of it back here, since
 * browsers hold redirects after a form against form-action too.
 *
 * @param endpoint where the form goes
 * @see https://www.w3.org/TR/CSP3/#directive-form-action
 */
export function logoutPageHeaders (endpoint: string): Record<string, string> {
  const policy = PAGE_HEADERS['content-security-policy'] ?? ''
  return {
    ...PAGE_HEADERS,
    'content-security-policy': policy.replace("form-action 'none'", `form-action ${new URL(endpoint).origin} 'self'`)
  }
}
