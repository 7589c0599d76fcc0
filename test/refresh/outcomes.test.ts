// What becomes of a request whose access token is old: each outcome of a refresh, and what the jar holds
// after it.
import t from 'tap'
import type { Answer } from '../support/browser-jar.ts'
import { deferred, namesSet, outcome, scene, sessionOf, TOKEN_LIFE } from '../support/refreshing.ts'

t.test('REF-02/03 a due token is refreshed first, and the next refresh uses the new one', async (t) => {
  const { browser, clock, provider, upstream } = await scene(t)
  const before = await sessionOf(browser)
  clock.advance(TOKEN_LIFE + 1)
  const first = await browser.fetch('/api/a')
  t.equal(outcome(first), '200')
  t.strictSame(namesSet(first), ['bulla.0'])
  t.match(first.headers['cache-control'], /private, no-store/, 'S41')
  const second = await sessionOf(browser)
  t.equal(second.sid, before.sid)
  t.equal(second.expires_at, before.expires_at, 'REF-18 the absolute end does not move')
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/b')), '200')
  t.equal(provider.calls.token, 3)
  const [a, b] = upstream.requests.map(({ headers }) => headers.authorization)
  t.not(a, b, 'each call carries the token of its time')
})

t.test('REF-15 a token is refreshed ahead of its expiry, and a fresh one is not', async (t) => {
  const { browser, clock, provider } = await scene(t)
  t.strictSame(namesSet(await browser.fetch('/api/a')), [], 'REF-12 nothing is written without a refresh')
  t.equal(provider.calls.token, 1)
  clock.advance(TOKEN_LIFE - 15)
  t.strictSame(namesSet(await browser.fetch('/api/a')), ['bulla.0'])
  t.equal(provider.calls.token, 2)
})

t.test('REF-09 forty parallel requests make one call and carry the same new session', async (t) => {
  const { browser, clock, provider } = await scene(t)
  clock.advance(TOKEN_LIFE + 1)
  const answers = await Promise.all(Array.from({ length: 40 }, async () => await browser.clone().fetch('/api/a')))
  t.equal(answers.filter(({ status }) => status === 200).length, 40)
  t.equal(new Set(answers.map(({ setCookies }) => setCookies.join('\n'))).size, 1)
  t.equal(provider.calls.token, 2)
})

t.test('REF-13 an event stream is refreshed before it starts: its header carries the cookie', async (t) => {
  const { browser, clock, provider, upstream } = await scene(t)
  clock.advance(TOKEN_LIFE + 1)
  upstream.handler = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: a\n\n')
  }
  const answer = await browser.fetch('/api/events', { headers: { accept: 'text/event-stream' } })
  t.equal(answer.text, 'data: a\n\n')
  t.strictSame(namesSet(answer), ['bulla.0'])
  t.equal(provider.calls.token, 2)
})

t.test('a late request with the old cookie gets the very same new session', async (t) => {
  const { browser, clock, provider } = await scene(t)
  const late = browser.clone()
  const veryLate = browser.clone()
  clock.advance(TOKEN_LIFE + 1)
  const first = await browser.fetch('/api/a')
  const second = await late.fetch('/api/a')
  t.strictSame(second.setCookies, first.setCookies)
  t.equal(provider.calls.token, 2)
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  const answer = await veryLate.fetch('/api/a')
  t.equal(outcome(answer), '200', 'two generations later')
  t.equal(provider.calls.token, 3)
})

t.test('S42 of interleaved users each gets their own session', async (t) => {
  const { login, clock } = await scene(t)
  const people = await Promise.all(Array.from({ length: 8 }, login))
  const sids = await Promise.all(people.map(async (person) => (await sessionOf(person)).sid))
  clock.advance(TOKEN_LIFE + 1)
  const calls = people.flatMap((person) => [person, person.clone(), person.clone()])
  await Promise.all(calls.map(async (person) => await person.fetch('/api/a')))
  t.equal(new Set(sids).size, 8)
  for (const [index, person] of people.entries()) t.equal((await sessionOf(person)).sid, sids[index])
})

t.test('REF-20 CSR-08 a request that the guard refuses never refreshes', async (t) => {
  const { browser, clock, provider } = await scene(t)
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a', { csrf: false })), '403 csrf_header_missing')
  t.equal(outcome(await browser.fetch('/bff/refresh', { method: 'POST', csrf: false })), '403 csrf_header_missing')
  t.equal(provider.calls.token, 1)
})

t.test('REF-06 REF-11 a dead refresh token: stale once, then expired, one call, and no chunk deleted', async (t) => {
  const { browser, clock, provider } = await scene(t)
  provider.fault('token', { status: 400, body: { error: 'invalid_grant' } })
  clock.advance(TOKEN_LIFE + 1)
  const stale = await browser.fetch('/api/a')
  t.equal(outcome(stale), '401 session_stale')
  t.strictSame(namesSet(stale), ['bulla-spent'])
  t.notOk(stale.setCookies.some((line) => line.startsWith('bulla.')))
  const expired = await browser.fetch('/api/a')
  t.equal(outcome(expired), '401 session_expired')
  t.strictSame(expired.setCookies, [])
  t.equal((await sessionOf(browser)).authenticated, false)
  t.equal(provider.calls.token, 2)
})

t.test('the same dead token is never presented twice, even by a browser that keeps no marker', async (t) => {
  const { browser, clock, provider } = await scene(t)
  provider.fault('token', { status: 400, body: { error: 'invalid_grant' } })
  clock.advance(TOKEN_LIFE + 1)
  for (let round = 0; round < 3; round++) t.equal(outcome(await browser.clone().fetch('/api/a')), '401 session_stale')
  t.equal(provider.calls.token, 2)
})

t.test('a spent generation is served while its access token lives, without further calls', async (t) => {
  const { browser, clock, provider } = await scene(t)
  provider.fault('token', { status: 400, body: { error: 'invalid_grant' } })
  clock.advance(TOKEN_LIFE - 15)
  const marked = await browser.fetch('/api/a')
  t.equal(outcome(marked), '200')
  t.strictSame(namesSet(marked), ['bulla-spent'])
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  t.equal((await sessionOf(browser)).authenticated, true)
  clock.advance(20)
  t.equal(outcome(await browser.fetch('/api/a')), '401 session_expired')
  t.equal(provider.calls.token, 2)
})

t.test('REF-11 whatever order answers arrive in, a newer generation is unharmed by the marker', async (t) => {
  for (const isWinnerLast of [false, true]) {
    const { browser, clock, provider, useReplica } = await scene(t, { replicas: 2, provider: { rotation: 'none' } })
    const [winner, loser] = [browser.clone(), browser.clone()]
    clock.advance(TOKEN_LIFE + 1)
    const won = await winner.fetch('/api/a')
    useReplica(1)
    provider.fault('token', { status: 400, body: { error: 'invalid_grant' } })
    const lost = await loser.fetch('/api/a')
    t.equal(outcome(lost), '401 session_stale')
    for (const answer of isWinnerLast ? [lost, won] : [won, lost]) {
      for (const line of answer.setCookies) browser.jar.setCookie(line, answer.url)
    }
    t.equal(outcome(await browser.fetch('/api/a')), '200')
    provider.mend('token')
    clock.advance(TOKEN_LIFE + 1)
    const next = await browser.fetch('/api/a')
    t.equal(outcome(next), '200', 'the newer generation refreshes')
    t.ok(next.setCookies.some((line) => /^bulla-spent=;.*max-age=0/i.test(line)), 'and the marker goes')
  }
})

t.test('REF-10 a request that lost finds the newer cookie when it is repeated', async (t) => {
  const rotation = { reuseWindow: 5 }
  const { browser, clock, provider, useReplica } = await scene(t, { replicas: 2, provider: { rotation } })
  const tabs = [browser.tab(), browser.tab()]
  clock.advance(TOKEN_LIFE + 1)
  const answers = await Promise.all(tabs.map(async (tab, index) => {
    useReplica(index)
    return await tab.fetch('/api/a')
  }))
  t.strictSame(answers.map(outcome), ['200', '200'])
  t.equal(provider.calls.token, 3, 'one call for each replica')
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a')), '200')
})

t.test('REF-12 an answer that was slow brings the newest session, not the one it set out with', async (t) => {
  const { browser, clock, upstream } = await scene(t)
  const held = deferred()
  const { handler } = upstream
  upstream.handler = (request, response, recorded) => {
    if (recorded.url === '/api/slow') held.promise.then(() => response.end())
    else handler(request, response, recorded)
  }
  clock.advance(TOKEN_LIFE + 1)
  const reached = upstream.nextRequest()
  const slow = browser.clone().fetch('/api/slow')
  await reached
  const first = await browser.fetch('/api/a')
  clock.advance(TOKEN_LIFE + 1)
  const second = await browser.fetch('/api/a')
  t.notSame(first.setCookies, second.setCookies)
  held.resolve()
  t.strictSame((await slow).setCookies, second.setCookies)
})

t.test('REF-14 S39 a client that leaves loses nothing: whoever comes next gets the new session', async (t) => {
  const { browser, clock, provider } = await scene(t)
  clock.advance(TOKEN_LIFE + 1)
  const held = deferred()
  provider.delay('token', held.promise)
  const leave = new AbortController()
  const called = provider.nextCall('token')
  const left = browser.clone().fetch('/api/a', { signal: leave.signal })
  await called
  leave.abort()
  await t.rejects(left)
  const next = browser.fetch('/api/a')
  held.resolve()
  t.equal(outcome(await next), '200')
  t.equal(provider.calls.token, 2)
  const own = await browser.fetch('/api/a')
  t.equal(outcome(own), '200')
})

t.test('REF-21 without a refresh token the session ends with the access token', async (t) => {
  const { browser, clock, provider } = await scene(t, {
    provider: { configure: (configuration) => { configuration.issueRefreshToken = () => false } }
  })
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a')), '401 session_expired')
  t.equal((await sessionOf(browser)).authenticated, false)
  t.equal(provider.calls.token, 1)
})

t.test('POST /bff/refresh says what came of it', async (t) => {
  const { browser, provider } = await scene(t)
  const refresh = async (): Promise<Answer> => await browser.fetch('/bff/refresh', { method: 'POST' })
  const first = await refresh()
  t.equal(outcome(first), '200')
  t.match(first.json(), { authenticated: true, sub: String })
  t.strictSame(namesSet(first), ['bulla.0'])
  provider.fault('token', { status: 503 }, { times: 1 })
  t.equal(outcome(await refresh()), '503 idp_unavailable')
  provider.fault('token', { status: 400, body: { error: 'invalid_scope' } }, { times: 1 })
  t.equal(outcome(await refresh()), '502 idp_misconfigured')
  provider.fault('token', { status: 400, body: { error: 'invalid_grant' } }, { times: 1 })
  t.equal(outcome(await refresh()), '502 idp_misconfigured', 'a session that alone is refused waits a second')
  t.equal(outcome(await browser.fetch('/api/a')), '200')
})

t.test('POST /bff/refresh with a dead refresh token is 401 session_expired, and marks it', async (t) => {
  const { browser, provider } = await scene(t)
  provider.revokeSubject('nanni')
  provider.fault('token', { status: 400, body: { error: 'invalid_grant' } })
  const answer = await browser.fetch('/bff/refresh', { method: 'POST' })
  t.equal(outcome(answer), '401 session_expired')
  t.strictSame(namesSet(answer), ['bulla-spent'])
  t.equal(outcome(await browser.fetch('/bff/refresh', { method: 'POST' })), '401 session_expired')
  t.equal(provider.calls.token, 2)
})

t.test('I70 a logout with the cookie before the last revokes the tokens that came of it', async (t) => {
  const { browser, clock, provider } = await scene(t)
  const late = browser.clone()
  clock.advance(TOKEN_LIFE + 1)
  await browser.fetch('/api/a')
  const spent = new URLSearchParams(provider.log.findLast(({ endpoint }) => endpoint === 'token')?.body)
  const revocation = provider.nextCall('revocation')
  t.equal(outcome(await late.fetch('/bff/logout', { method: 'POST' })), '200')
  await revocation
  await provider.nextCall('revocation')
  const revoked = new URLSearchParams(provider.log.find(({ endpoint }) => endpoint === 'revocation')?.body)
  t.equal(revoked.get('token_type_hint'), 'refresh_token')
  t.not(revoked.get('token'), spent.get('refresh_token'))
})
