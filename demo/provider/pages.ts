// The pages that people see at the demo's authorization server: log in, log out, and what went wrong.
import type { ResolvedOptions } from './options.ts'
import type { DemoUser } from './users.ts'

/** An HTML document and the Content-Security-Policy that it needs. */
export interface Page { readonly html: string, readonly policy: string }

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text made safe inside HTML elements and quoted attributes. */
export function escapeHtml (value: unknown): string {
  return String(value).replace(/[&<>"']/g, (character) => escapes[character] as string)
}

/**
 * The page on which a person is chosen.
 * @param hint the user name that the app expects, if any
 */
export function loginPage (uid: string, options: ResolvedOptions, hint?: string): Page {
  const action = `/interaction/${encodeURIComponent(uid)}`
  const people = options.users.map((user) => personButton(user, user.username === hint)).join('')
  return page('Log in', `
    <p class="lead">The Bulla demo asks who you are. Choose a person; no password is needed here.</p>
    <form method="post" action="${action}/login" class="people">${people}</form>
    <form method="post" action="${action}/abort" class="quiet">
      <button type="submit" class="link">Cancel and go back</button>
    </form>`, options)
}

function personButton (user: DemoUser, expected: boolean): string {
  const initials = user.name.match(/\p{Lu}/gu)?.slice(0, 2).join('') ?? user.name.slice(0, 1)
  const face = user.picture === undefined
    ? `<span class="face" aria-hidden="true">${escapeHtml(initials)}</span>`
    : `<img class="face" src="${escapeHtml(user.picture)}" alt="" width="48" height="48">`
  return `
    <button type="submit" name="user" value="${escapeHtml(user.username)}" class="person"${expected ? ' autofocus' : ''}>
      ${face}
      <span class="who">
        <strong>${escapeHtml(user.name)}</strong>
        <span>${escapeHtml(user.email)}</span>
        <small>${escapeHtml(user.about)}</small>
      </span>
    </button>`
}

/**
 * Asks before a session ends, or answers for the person.
 * @param form the hidden form of oidc-provider, which the buttons submit
 */
export function logoutPage (form: string, options: ResolvedOptions): Page {
  const automatic = options.confirmLogout === 'auto'
  return page(automatic ? 'Logging out' : 'Log out?', `
    <p class="lead">${automatic ? 'One moment.' : 'You are leaving the Bulla demo. Log out here too?'}</p>
    ${automatic ? form.replace('</form>', '<input type="hidden" name="logout" value="yes"></form>') : form}
    <p class="actions">
      <button type="submit" form="op.logoutForm" name="logout" value="yes" class="primary" autofocus>Log out</button>
      ${automatic ? '' : '<button type="submit" form="op.logoutForm" class="link">Stay logged in here</button>'}
    </p>${automatic ? '<script src="/assets/submit.js"></script>' : ''}`, options)
}

/** Where a logout ends that names no page to return to. */
export function signedOutPage (): Page {
  return page('Logged out', '<p class="lead">You are logged out. You may close this page.</p>')
}

/** What went wrong, in the words of the protocol. */
export function errorPage (out: object): Page {
  const lines = Object.entries(out).filter(([, value]) => value !== undefined)
    .map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`).join('')
  return page('That did not work', `<dl>${lines}</dl>`)
}

function page (title: string, body: string, options?: ResolvedOptions): Page {
  const uris = [...options?.redirectUris ?? [], ...options?.postLogoutRedirectUris ?? []]
  // Chromium applies form-action to the redirects that follow a submitted form, back to the app included.
  const origins = [...new Set(uris.map((uri) => new URL(uri).origin))].join(' ')
  return {
    policy: "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'; " +
      `frame-ancestors 'none'; form-action 'self' ${origins}`,
    html: `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>${escapeHtml(title)} · Edubba</title>
  <link rel="stylesheet" href="/assets/style.css">
  <link rel="icon" href="/assets/tablet.svg" type="image/svg+xml">
</head>
<body>
  <main>
    <header><img src="/assets/tablet.svg" alt="" width="44" height="44">
      <p><strong>Edubba</strong><span>the demo’s authorization server</span></p></header>
    <h1>${escapeHtml(title)}</h1>
    ${body}
  </main>
  <footer>A demo with throw-away keys and no passwords. Nothing here is kept.</footer>
</body>
</html>
`
  }
}
