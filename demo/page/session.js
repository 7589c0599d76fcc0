// Shows who is logged in, how long the access token lives, and each refresh that happens underneath.

const MAX_LOG = 5
const SEALED = 'The seal sits in HttpOnly cookies, which no script can read.'
const byId = (id) => document.getElementById(id)
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString()
const seen = { sid: null, expiresAt: 0, lifetime: 0 }

/** Seconds as minutes and seconds. */
function left (seconds) {
  const whole = Math.max(0, Math.round(seconds))
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

/** Shows a session as `/bff/session` answers it; `asked`: as `/bff/refresh` does. */
export function showSession (session, asked = false) {
  if (session.sid !== seen.sid) begin(session)
  else if (asked || session.access_token_expires_at > seen.expiresAt) refreshed(session)
  byId('raw').textContent = JSON.stringify(session, null, 2)
  byId('scope').textContent = session.scope
  byId('expires').textContent = clock(session.expires_at)
  tick(session)
}

function begin (session) {
  const { name, email, picture, roles = [], groups = [] } = session.claims ?? {}
  remember(session)
  byId('name').textContent = byId('bar-name').textContent = name ?? session.sub
  byId('email').textContent = email ?? ''
  byId('issued').textContent = clock(session.issued_at)
  byId('roles').replaceChildren(...[...roles, ...groups].map((text) => element('li', text)))
  byId('refreshes').replaceChildren()
  showFace(name ?? session.sub, picture)
}

function remember ({ sid, access_token_expires_at: expiresAt }) {
  Object.assign(seen, { sid, expiresAt, lifetime: expiresAt - Date.now() / 1000 })
}

function showFace (name, picture) {
  byId('face').textContent = name.match(/\p{Lu}/gu)?.slice(0, 2).join('') ?? name.slice(0, 1)
  if (picture === undefined) return
  const image = new window.Image()
  image.alt = ''
  image.onload = () => byId('face').replaceChildren(image)
  image.src = picture
}

function refreshed (session) {
  remember(session)
  const text = `${clock(Date.now() / 1000)}  refreshed; the new access token is good until ${clock(seen.expiresAt)}`
  byId('refreshes').prepend(element('li', text))
  while (byId('refreshes').children.length > MAX_LOG) byId('refreshes').lastElementChild.remove()
}

function tick (session) {
  const remaining = session.access_token_expires_at - Date.now() / 1000
  byId('token-left').textContent = remaining > 0 ? left(remaining) : 'expired'
  byId('token-bar').value = seen.lifetime > 0 ? Math.max(0, Math.min(1, remaining / seen.lifetime)) : 0
  // Bulla refreshes within the last minute or fifth of the lifetime, whichever is less.
  const ahead = Math.min(60, seen.lifetime / 5)
  byId('token-hint').textContent = remaining > ahead
    ? `A call in ${left(remaining - ahead)} or later gets a fresh one first.`
    : 'The next call gets a fresh one first.'
}

function element (name, text) {
  const made = document.createElement(name)
  made.textContent = text
  return made
}

/** Lists all that a script of this page, or one smuggled into it, could read. */
export function showWhatBrowserSees (authenticated) {
  const places = {
    'document.cookie': document.cookie,
    localStorage: Object.entries(window.localStorage).join(' '),
    sessionStorage: Object.entries(window.sessionStorage).join(' '),
    'the address': window.location.href
  }
  const found = Object.values(places).filter((text) => /eyJ[\w-]+\.|code=|token=/.test(text)).length
  byId('sees').replaceChildren(...Object.entries(places).map(([place, text]) => {
    const entry = document.createElement('div')
    entry.append(element('dt', place), element('dd', text === '' ? 'empty' : text))
    return entry
  }))
  byId('verdict').textContent = found === 0
    ? `No token is here. ${authenticated ? SEALED : 'Log in and look again: there will be none either.'}`
    : 'Something here looks like a token!'
  byId('verdict').classList.toggle('bad', found > 0)
}
