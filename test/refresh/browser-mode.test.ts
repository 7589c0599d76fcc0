// refresh.mode: browser. API calls never refresh, the refresh token stays under the base path, one endpoint
// spends it.
import t from 'tap'
import { namesSet, outcome, scene, sessionOf, TOKEN_LIFE } from '../support/refreshing.ts'

const BROWSER = { settings: { refresh: { mode: 'browser' } } }

t.test('the refresh token has a cookie of its own, which API calls do not carry', async (t) => {
  const { browser, upstream, url } = await scene(t, BROWSER)
  t.match(browser.jar.cookies.find(({ name }) => name === 'bulla-refresh.0'), { path: '/bff', httpOnly: true, sameSite: 'strict' })
  t.notMatch(browser.jar.header(new URL('/api/a', url)), /refresh/)
  t.match(browser.jar.header(new URL('/bff/refresh', url)), /bulla-refresh\.0=/)
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  t.match(upstream.requests[0]?.headers.authorization, /^Bearer /)
})

t.test('API calls never refresh: 401 session_stale until POST /bff/refresh has done it', async (t) => {
  const { browser, clock, provider } = await scene(t, BROWSER)
  clock.advance(TOKEN_LIFE - 5)
  t.strictSame((await browser.fetch('/api/a')).setCookies, [], 'also not ahead of time')
  clock.advance(6)
  const stale = await browser.fetch('/api/a')
  t.equal(outcome(stale), '401 session_stale')
  t.strictSame(stale.setCookies, [])
  t.equal(provider.calls.token, 1)
  const refreshed = await browser.fetch('/bff/refresh', { method: 'POST' })
  t.equal(outcome(refreshed), '200')
  t.strictSame(namesSet(refreshed), ['bulla-refresh.0', 'bulla.0'])
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/bff/refresh', { method: 'POST' })), '200', 'and again')
  t.equal(provider.calls.token, 3)
})

t.test('a dead refresh token: 401 session_expired for the refresh and then for API calls', async (t) => {
  const { browser, clock, provider } = await scene(t, BROWSER)
  provider.fault('token', { status: 400, body: { error: 'invalid_grant' } })
  t.equal(outcome(await browser.fetch('/bff/refresh', { method: 'POST' })), '401 session_expired')
  t.equal(outcome(await browser.fetch('/api/a')), '200', 'served while the access token lives')
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a')), '401 session_expired')
  t.equal((await sessionOf(browser)).authenticated, false)
  t.equal(provider.calls.token, 2)
})

t.test('a session without a refresh token ends, without a loop', async (t) => {
  const { browser, clock, provider } = await scene(t, {
    ...BROWSER, provider: { configure: (configuration) => { configuration.issueRefreshToken = () => false } }
  })
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a')), '401 session_stale')
  t.equal(outcome(await browser.fetch('/bff/refresh', { method: 'POST' })), '401 session_expired')
  t.equal(outcome(await browser.fetch('/api/a')), '401 session_expired')
  t.equal(provider.calls.token, 1)
})

t.test('two refreshes at once spend the token once, on any of the replicas that remember', async (t) => {
  const { browser, provider } = await scene(t, BROWSER)
  const answers = await Promise.all([1, 2, 3].map(async () => await browser.clone().fetch('/bff/refresh', { method: 'POST' })))
  t.strictSame(answers.map(outcome), ['200', '200', '200'])
  t.equal(new Set(answers.map(({ setCookies }) => setCookies.join())).size, 1)
  t.equal(provider.calls.token, 2)
})

t.test('the browser is told in how many seconds it should refresh, whatever its clock says', async (t) => {
  const { browser, clock } = await scene(t, BROWSER)
  const told = async (): Promise<number> => Number((await browser.fetch('/bff/session')).headers['bulla-refresh-in'])
  const first = await told()
  t.ok(first > 70 && first <= 80, `${first} of ${TOKEN_LIFE}`)
  clock.advance(TOKEN_LIFE - 10)
  t.equal(await told(), 0)
  const refreshed = await browser.fetch('/bff/refresh', { method: 'POST' })
  t.ok(Number(refreshed.headers['bulla-refresh-in']) > 70)
})

t.test('in server mode nobody is told to refresh', async (t) => {
  const { browser } = await scene(t)
  t.equal((await browser.fetch('/bff/session')).headers['bulla-refresh-in'], undefined)
})

t.test('a refresh token of another session or generation does not count', async (t) => {
  const { browser, login, url, provider } = await scene(t, BROWSER)
  const other = await login()
  const part = (from: typeof other, name: string): string =>
    `${name}=${from.jar.cookies.find((cookie) => cookie.name === name)?.value}`
  const answer = await fetch(new URL('/bff/refresh', url), {
    method: 'POST',
    headers: { 'x-csrf': '1', cookie: `${part(browser, 'bulla.0')}; ${part(other, 'bulla-refresh.0')}` }
  })
  t.equal(answer.headers.get('bulla-error'), 'session_expired')
  t.equal(provider.calls.token, 2)
})
