// The idle timeout and the routing key: small cookies of their own, beside a session that is never re-sealed
// for them.
import t from 'tap'
import { namesSet, outcome, scene, sessionOf, TOKEN_LIFE } from '../support/refreshing.ts'

const IDLE = { session: { idle_timeout: '10m' } }
const LONG = { accessTokenTtl: 3600 }

t.test('REF-19 activity is written at most once a minute, and tokens are not re-sealed for it', async (t) => {
  const { browser, clock } = await scene(t, { settings: IDLE, provider: LONG })
  t.ok(browser.jar.cookies.some(({ name }) => name === 'bulla-idle'), 'login writes it')
  t.strictSame(namesSet(await browser.fetch('/api/a')), [])
  clock.advance(59)
  t.strictSame(namesSet(await browser.fetch('/api/a')), [])
  clock.advance(2)
  const answer = await browser.fetch('/api/a')
  t.strictSame(namesSet(answer), ['bulla-idle'])
  t.match(answer.headers['cache-control'], /private, no-store/)
  t.strictSame(namesSet(await browser.fetch('/api/a')), [])
})

t.test('REF-19 a short timeout writes each quarter of it', async (t) => {
  const { browser, clock } = await scene(t, { settings: { session: { idle_timeout: '40s' } }, provider: LONG })
  clock.advance(9)
  t.strictSame(namesSet(await browser.fetch('/api/a')), [])
  clock.advance(2)
  t.strictSame(namesSet(await browser.fetch('/api/a')), ['bulla-idle'])
})

t.test('REF-19 a session without activity is over, and activity keeps it', async (t) => {
  const { browser, clock } = await scene(t, { settings: IDLE, provider: LONG })
  for (let round = 0; round < 3; round++) {
    clock.advance(590)
    t.equal(outcome(await browser.fetch('/api/a')), '200')
  }
  clock.advance(601)
  t.equal(outcome(await browser.fetch('/api/a')), '401 session_expired')
  t.equal(outcome(await browser.fetch('/bff/refresh', { method: 'POST' })), '401 session_expired')
  t.equal((await sessionOf(browser)).authenticated, false)
})

t.test('GET /bff/session tells the end by idleness and never moves it', async (t) => {
  const { browser, clock } = await scene(t, { settings: IDLE, provider: LONG })
  const first = await sessionOf(browser)
  t.ok(Math.abs(first.idle_expires_at - clock() / 1000 - 600) < 3)
  clock.advance(120)
  const answer = await browser.fetch('/bff/session')
  t.equal(answer.json().idle_expires_at, first.idle_expires_at)
  t.strictSame(answer.setCookies, [])
  const refreshed = await browser.fetch('/bff/refresh', { method: 'POST' })
  t.strictSame(namesSet(refreshed), ['bulla-idle', 'bulla.0'])
  t.equal(refreshed.json().idle_expires_at, first.idle_expires_at + 120, 'an answer that moves it tells the new end')
  t.equal((await sessionOf(browser)).idle_expires_at, first.idle_expires_at + 120)
})

t.test('without an idle timeout there is no such cookie', async (t) => {
  const { browser } = await scene(t)
  const names = browser.jar.cookies.map(({ name }) => name)
  t.strictSame(names.filter((name) => name.startsWith('bulla')), ['bulla.0'])
  t.equal((await sessionOf(browser)).idle_expires_at, null)
})

t.test('a missing or foreign activity cookie means session_expired, a doubled one no session', async (t) => {
  const stage = await scene(t, { settings: IDLE })
  const other = await stage.login()
  const origin = new URL(stage.url)
  const cookies = (browser: typeof other): string[] => (browser.jar.header(origin) ?? '').split('; ')
  const [session] = cookies(stage.browser).filter((cookie) => cookie.startsWith('bulla.0='))
  const [idle] = cookies(stage.browser).filter((cookie) => cookie.startsWith('bulla-idle='))
  const [foreign] = cookies(other).filter((cookie) => cookie.startsWith('bulla-idle='))
  const asked = async (...header: Array<string | undefined>): Promise<string> => {
    const headers = { cookie: header.join('; '), 'x-csrf': '1' }
    const { status, headers: answer } = await fetch(new URL('/api/a', origin), { headers })
    return `${status} ${answer.get('bulla-error')}`
  }
  t.equal(await asked(session, idle), '200 null')
  t.equal(await asked(session), '401 session_expired')
  t.equal(await asked(session, idle, idle), '401 login_required')
  t.equal(await asked(session, foreign), '401 session_expired')
  t.equal(await asked(session, 'bulla-idle=x.y.z'), '401 session_expired')
})

t.test('a refresh and a logout keep and clear what belongs to the session', async (t) => {
  const { browser, clock } = await scene(t, { settings: { ...IDLE, routing_cookie: true } })
  const route = () => browser.jar.cookies.find(({ name }) => name === 'bulla-route')?.value
  const key = route()
  t.match(key, /^[A-Za-z0-9_-]{22}$/)
  clock.advance(TOKEN_LIFE + 1)
  t.strictSame(namesSet(await browser.fetch('/api/a')), ['bulla-idle', 'bulla.0'])
  t.equal(route(), key, 'the routing key is written at login only')
  await browser.fetch('/bff/logout', { method: 'POST' })
  t.strictSame(browser.jar.cookies.map(({ name }) => name).filter((name) => /^bulla/.test(name)), ['bulla-end'])
})

t.test('COK-01 the small cookies have the attributes of the session', async (t) => {
  const { browser } = await scene(t, { settings: { ...IDLE, routing_cookie: true } })
  for (const cookie of browser.jar.cookies.filter(({ name }) => /^bulla/.test(name))) {
    t.match(cookie, { httpOnly: true, sameSite: 'strict', path: '/' }, cookie.name)
  }
})
