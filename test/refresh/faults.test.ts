// A provider that fails: nobody is logged out, calls to it stay few, and its return is noticed at once.
import t from 'tap'
import type { Fault } from '../support/provider.ts'
import { namesSet, outcome, scene, sessionOf, TOKEN_LIFE } from '../support/refreshing.ts'

const TRANSIENT: Record<string, Fault> = {
  'a 500': { status: 500, body: { error: 'invalid_grant' } },
  'a 503 without body': { status: 503, body: '' },
  'a 429': { status: 429, body: { error: 'invalid_grant' }, headers: { 'retry-after': '1' } },
  'a reset connection': { reset: true },
  'HTML with 200': { status: 200, body: '<html>maintenance</html>', headers: { 'content-type': 'text/html' } },
  'truncated JSON': { status: 200, body: '{"access_token":"abc' },
  'JSON that is no token response': { status: 200, body: [] },
  'no access token': { status: 200, body: { error: 'invalid_grant' } },
  'a redirect': { status: 302, body: '', headers: { location: 'http://127.0.0.1:9/' } },
  'a 403 page of a firewall': { status: 403, body: '<html>blocked</html>', headers: { 'content-type': 'text/html' } },
  'a 400 that says not now': { status: 400, body: { error: 'temporarily_unavailable' } }
}

const OURS: Record<string, Fault> = {
  invalid_client: {
    status: 401, body: { error: 'invalid_client' }, headers: { 'www-authenticate': 'Basic realm="as"' }
  },
  'a 401 that says nothing': { status: 401, body: '', headers: { 'www-authenticate': 'Basic realm="as"' } },
  unauthorized_client: { status: 400, body: { error: 'unauthorized_client' } },
  unsupported_grant_type: { status: 400, body: { error: 'unsupported_grant_type' } },
  invalid_request: { status: 400, body: { error: 'invalid_request' } },
  invalid_scope: { status: 400, body: { error: 'invalid_scope' } }
}

/** Tokens of a session that meets many faults: so short that its clock stays near the provider's. */
const LIFE = 20

t.test('REF-07 a transient fault never ends a session', async (t) => {
  const { provider, clock, browser } = await scene(t, { provider: { accessTokenTtl: LIFE } })
  const { sid } = await sessionOf(browser)
  for (const [name, fault] of Object.entries(TRANSIENT)) {
    await t.test(name, async (t) => {
      provider.fault('token', fault)
      clock.advance(LIFE - 1)
      const alive = await browser.fetch('/api/a')
      t.equal(outcome(alive), '200', 'a token that lives is used')
      clock.advance(2)
      const dead = await browser.fetch('/api/a')
      t.equal(outcome(dead), '503 idp_unavailable')
      t.ok(Number(dead.headers['retry-after']) >= 1)
      t.strictSame([...namesSet(alive), ...namesSet(dead)], [])
      provider.mend()
      t.equal(outcome(await browser.fetch('/api/a')), '200', 'and works again when the provider does')
      t.equal((await sessionOf(browser)).sid, sid)
    })
  }
})

t.test('REF-07 a provider that cannot be reached ends no session', async (t) => {
  const { provider, clock, browser } = await scene(t)
  await provider.stop()
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a')), '503 idp_unavailable')
  await provider.start()
  t.equal(outcome(await browser.fetch('/api/a')), '200')
})

t.test('REF-08 a fault of the client is told as such and ends no session', async (t) => {
  const lines: string[] = []
  const { provider, clock, browser } = await scene(t, {
    provider: { accessTokenTtl: LIFE },
    deps: { logger: { level: 'error', stream: { write: (line: string) => { lines.push(line) } } } }
  })
  for (const [name, fault] of Object.entries(OURS)) {
    await t.test(name, async (t) => {
      lines.length = 0
      provider.fault('token', fault)
      clock.advance(LIFE - 1)
      t.equal(outcome(await browser.fetch('/api/a')), '200')
      t.match(lines.join(''), /refuses to refresh/, 'loudly')
      clock.advance(2)
      const answer = await browser.fetch('/api/a')
      t.equal(outcome(answer), '502 idp_misconfigured')
      t.strictSame(answer.setCookies, [])
      provider.mend()
      const until = Date.now() + 5000
      let healed = await browser.fetch('/api/a')
      while (healed.status !== 200 && Date.now() < until) healed = await browser.fetch('/api/a')
      t.equal(healed.status, 200)
    })
  }
})

t.test('REF-23 a failing token endpoint is called a few times a second, however many ask', async (t) => {
  const { provider, clock, login } = await scene(t)
  const people = await Promise.all(Array.from({ length: 20 }, login))
  provider.fault('token', { status: 503 })
  clock.advance(TOKEN_LIFE + 1)
  const before = provider.calls.token
  const start = performance.now()
  let asked = 0
  while (performance.now() - start < 3000) {
    const answers = await Promise.all(people.map(async (person) => await person.fetch('/api/a')))
    asked += answers.filter((answer) => outcome(answer) === '503 idp_unavailable').length
  }
  const seconds = (performance.now() - start) / 1000
  const calls = provider.calls.token - before
  t.ok(asked >= 60, `${asked} requests`)
  t.ok(calls <= 20 + 5 * seconds, `${calls} calls in ${seconds} s`)
  provider.mend()
  const answers = await Promise.all(people.map(async (person) => {
    let answer = await person.fetch('/api/a')
    for (let i = 0; i < 20 && answer.status === 503; i++) answer = await person.fetch('/api/a')
    return answer
  }))
  t.strictSame([...new Set(answers.map(outcome))], ['200'], 'nobody was lost')
})

t.test('REF-23 a provider that hangs holds requests for a bounded time, and its return is noticed', async (t) => {
  const { provider, clock, browser, login } = await scene(t)
  const others = await Promise.all([login(), login(), login()])
  provider.fault('token', { hang: true })
  clock.advance(TOKEN_LIFE + 1)
  const answers = await Promise.all([browser, ...others].map(async (person) => await person.fetch('/api/a')))
  t.strictSame([...new Set(answers.map(outcome))], ['503 idp_unavailable'])
  const probe = browser.fetch('/api/a')
  await provider.nextCall('token')
  provider.mend()
  const mended = performance.now()
  t.equal(outcome(await probe), '503 idp_unavailable', 'a probe does not wait as long as a call')
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  t.ok(performance.now() - mended < 5000, 'within 5 s')
})
