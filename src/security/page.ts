// The small pages that a person sees: what went wrong and a way on; the hop between two sites; no script of
// ours.
import { ERRORS, type BullaError, type ErrorCode } from '../lib/errors.ts'

/** Where a page's way on leads. */
export interface WayOn { readonly href: string, readonly label: string }

/** What a person is told; the other codes have their title. */
const WORDS: Partial<Record<ErrorCode, readonly [title: string, text: string]>> = {
  callback_invalid: ['That login could not be completed',
    'What came back does not belong to a login that this browser started. It may be old, used before, meant for ' +
    'another browser, or cookies may be blocked. Nothing has changed for you: please try again.'],
  login_expired: ['The login keeps getting lost',
    'Bulla started the login again several times, and each time the browser came back without what it was given. ' +
    'Cookies may be blocked for this site, or its address may have changed on the way. Allow cookies and try again.'],
  login_denied: ['The login was cancelled',
    'The identity provider did not log you in, because it was cancelled there or is not allowed. You can try again.'],
  idp_unavailable: ['Logging in is not possible right now',
    'The identity provider does not answer at the moment. Please try again in a few seconds.'],
  idp_misconfigured: ['Logging in does not work here',
    'The identity provider and this app do not understand each other. Trying again will hardly help: ' +
    'please tell whoever runs this app.'],
  session_too_large: ['Logging in does not work for this account',
    'The account carries more data than fits. Please tell whoever runs this app.'],
  login_required: ['Please log in', 'You need to be logged in to see this.'],
  session_expired: ['Your session has ended', 'You were away for long enough that the session ended. Please log in again.'],
  session_revoked: ['You have been logged out', 'The session was ended elsewhere. Please log in again.']
}

/**
 * The page for an error.
 *
 * @param error what happened; only its title and detail are shown
 * @param wayOn a link, its address checked before
 * @param requestId what a person can quote
 */
export function errorPage (error: BullaError, wayOn: WayOn, requestId: string): string {
  const [title, text] = WORDS[error.code] ?? [ERRORS[error.code].title, error.detail]
  const back = error.backUrl === undefined ? '' : `\n<a class="back" href="${escapeHtml(error.backUrl)}">Back to the app</a>`
  return page(title, `<h1>${escapeHtml(title)}</h1>
${text === undefined ? '' : `<p>${escapeHtml(text)}</p>\n`}<a href="${escapeHtml(wayOn.href)}">${escapeHtml(wayOn.label)}</a>${back}
<small>${escapeHtml(error.code)} · ${escapeHtml(requestId)}</small>`)
}

/**
 * A page that goes on at once: the next request is begun by this page and so brings the `SameSite=Strict`
 * cookies
 * that a redirect from another site lacks.
 *
 * @param href a local path, checked before
 * @see https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html section 8.8.2
 */
export function hopPage (href: string): string {
  const target = escapeHtml(href)
  return page('One moment', `<p>One moment…</p>
<a href="${target}">Continue</a>`, `<meta http-equiv="refresh" content="0;url=${target}">\n`)
}

/**
 * The page that tells the outcome of a silent login to the page around it, by the script `script`.
 *
 * @param outcome `ok`, or an error's code
 * @param script the address of {@link OUTCOME_SCRIPT}
 */
export function outcomePage (outcome: string, script: string): string {
  return `<!doctype html>
<html lang="en" data-outcome="${escapeHtml(outcome)}">
<head><meta charset="utf-8"><title>Login</title></head>
<body><script src="${escapeHtml(script)}"></script></body>
</html>
`
}

/** Posts the outcome to the framing or opening page, if that is of this origin; the browser holds that. */
export const OUTCOME_SCRIPT = `const { outcome } = document.documentElement.dataset
const around = window.parent !== window ? window.parent : window.opener
if (around) around.postMessage({ type: 'bulla:login', outcome }, window.location.origin)
`

function page (title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${head}<title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.6 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center }
main { max-width: 32rem; padding: 2rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem }
a { display: inline-block; margin-top: 1rem; padding: .6rem 1.2rem; border-radius: .5rem; background: #8a4b2a; color: #fff; text-decoration: none }
.back { background: none; color: inherit; text-decoration: underline }
a:focus-visible { outline: 3px solid #d99a6c; outline-offset: 2px }
small { display: block; margin-top: 2rem; opacity: .7; overflow-wrap: anywhere }
</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`
}

/**
 * Text made fit for HTML, inside elements and quoted attributes.
 *
 * @param text anything
 */
export function escapeHtml (text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
