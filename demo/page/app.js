// The demo app: learns of its session from Bulla's client and calls the API of its origin. It holds no token.
import { call, client, reached } from './calls.js'
import { follow, loadOrders, placeOrder, stopFollowing } from './orders.js'
import { showSession, showWhatBrowserSees } from './session.js'

const LOOK_MS = 1000
const CALL_MS = 10_000
const byId = (id) => document.getElementById(id)
const app = { authenticated: null, lastCall: 0 }

const experiments = {
  'no-csrf': () => call('/api/orders', { csrf: false }),
  ledger: () => call('/api/ledger'),
  missing: () => call('/api/orders/unknown'),
  nowhere: () => call('/bff/nowhere')
}

/** Shows what went wrong by its code, and forgets the last trouble when there is none. */
function tell (error) {
  const notice = byId('notice')
  notice.hidden = error === undefined
  notice.textContent = error === undefined ? '' : `${error.code ?? 'error'}: ${error.message}`
}

/** Runs what a person asked for. */
async function attempt (action) {
  try {
    await action()
    tell()
  } catch (error) {
    if (error?.name !== 'AbortError') tell(error)
  }
}

/** Looks at the session, and at what the browser holds. */
async function look () {
  const session = await reached(client.session())
  if (byId('notice').textContent.startsWith('unreachable')) tell()
  const changed = session.authenticated !== app.authenticated
  app.authenticated = session.authenticated
  for (const id of ['signed-in', 'logout', 'bar-name']) byId(id).hidden = !session.authenticated
  byId('signed-out').hidden = session.authenticated
  showWhatBrowserSees(session.authenticated)
  if (!session.authenticated) return stopFollowing()
  showSession(session)
  const due = byId('poll').checked && Date.now() - app.lastCall >= CALL_MS
  if (changed || due) {
    app.lastCall = Date.now()
    await attempt(loadOrders)
  }
}

async function logOut () {
  stopFollowing()
  await reached(client.logout())
}

async function refreshNow () {
  showSession(await call('/bff/refresh', { method: 'POST' }), true)
}

async function tryToBreak (name) {
  const tried = byId('tried')
  try {
    await experiments[name]()
    tried.textContent = 'That is allowed for you.'
  } catch (error) {
    const code = document.createElement('code')
    code.textContent = error.code
    const from = error.fromBulla ? 'Bulla' : 'the API'
    tried.replaceChildren(`${error.status} `, code, ` from ${from}. ${error.message}`)
  }
}

byId('login').addEventListener('click', () => client.login())
byId('logout').addEventListener('click', () => attempt(logOut))
byId('refresh').addEventListener('click', () => attempt(refreshNow))
byId('place').addEventListener('submit', (event) => {
  event.preventDefault()
  attempt(() => placeOrder(event.target))
})
byId('live').addEventListener('change', ({ target }) => target.checked ? attempt(follow) : stopFollowing())
for (const button of document.querySelectorAll('[data-try]')) {
  button.addEventListener('click', () => tryToBreak(button.dataset.try))
}

// A session that began or ended, here or in another tab.
client.onChange(() => look().catch(tell))

/** Looks once a second while the page is visible, and at once when it comes back from the history. */
async function watch () {
  if (document.visibilityState === 'visible') await look().catch(tell)
  setTimeout(watch, LOOK_MS)
}
window.addEventListener('pageshow', ({ persisted }) => { if (persisted) look().catch(tell) })
watch()
