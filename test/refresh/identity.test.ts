// The ID token of a refresh, the claims it brings, and the ends that a provider sets to a session.
import t, { type Test } from 'tap'
import type { JWTPayload } from 'jose'
import { outcome, scene, sessionOf, TOKEN_LIFE, type Scene } from '../support/refreshing.ts'

/** Lets the next refresh answer with an ID token whose claims are these, or without one. */
async function answerWith (
  stage: Scene, claims: JWTPayload | null, extra: object = {}, header: Record<string, string> = {}
): Promise<void> {
  const { provider, clock } = stage
  const now = Math.floor(clock() / 1000)
  const usual = { iss: provider.issuer, aud: provider.clientId, sub: 'nanni', iat: now, exp: now + 300 }
  const idToken = claims === null ? undefined : await provider.sign({ ...usual, ...claims }, header)
  provider.fault('token', {
    body: {
      access_token: 'new-access',
      token_type: 'Bearer',
      expires_in: TOKEN_LIFE,
      refresh_token: 'new-refresh',
      ...extra,
      ...(idToken === undefined ? {} : { id_token: idToken })
    }
  }, { times: 1 })
}

async function subjectOf (stage: Scene): Promise<string> {
  return (await sessionOf(stage.browser)).sub
}

async function refused (t: Test, claims: JWTPayload, header?: Record<string, string>): Promise<void> {
  const stage = await scene(t)
  const { browser, clock, provider } = stage
  const sub = await subjectOf(stage)
  clock.advance(TOKEN_LIFE - 10)
  const late = browser.clone()
  await answerWith(stage, { sub, ...claims }, {}, header)
  const revoked = provider.nextCall('revocation')
  t.equal(outcome(await browser.fetch('/api/a')), '401 session_expired', 'although the access token lives')
  await revoked
  t.equal((await browser.fetch('/api/a')).status, 401)
  t.equal(outcome(await late.fetch('/api/a')), '401 session_expired', 'also for a late request')
  t.equal(provider.calls.token, 2)
  t.equal((await sessionOf(browser)).authenticated, false)
}

t.test('REF-04/05 S31 another subject ends the session', async (t) => await refused(t, { sub: 'someone-else' }))
t.test('REF-04/05 another issuer ends the session', async (t) => await refused(t, { iss: 'http://127.0.0.1:9' }))
t.test('REF-04/05 another audience ends the session', async (t) => await refused(t, { aud: 'another' }))
t.test('REF-04/05 a further audience ends the session', async (t) => await refused(t, { aud: ['another', 'bulla-demo'] }))
t.test('REF-04/05 another azp ends the session', async (t) => await refused(t, { azp: 'another' }))
t.test('REF-04/05 an old iat ends the session', async (t) => await refused(t, { iat: 1_000_000_000 }))
t.test('REF-04/05 an expired ID token ends the session', async (t) => await refused(t, { exp: 1_000_000_000 }))
t.test('REF-04/05 another nonce ends the session', async (t) => await refused(t, { nonce: 'another' }))
t.test('REF-04/05 a signature without a known key ends the session',
  async (t) => await refused(t, {}, { kid: 'unknown' }))

t.test('REF-04/05 no ID token on refresh is normal', async (t) => {
  const stage = await scene(t)
  const { browser, clock, upstream } = stage
  const before = await sessionOf(browser)
  clock.advance(TOKEN_LIFE + 1)
  await answerWith(stage, null)
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  t.equal(upstream.requests.at(-1)?.headers.authorization, 'Bearer new-access')
  t.strictSame((await sessionOf(browser)).claims, before.claims)
})

t.test('S31 a refresh replaces the claims', async (t) => {
  const stage = await scene(t)
  const sub = await subjectOf(stage)
  stage.clock.advance(TOKEN_LIFE + 1)
  await answerWith(stage, { sub, name: 'A new name' })
  t.equal(outcome(await stage.browser.fetch('/api/a')), '200')
  t.strictSame((await sessionOf(stage.browser)).claims, { name: 'A new name' })
})

t.test('the provider\'s keys being out of reach ends no session', async (t) => {
  const stage = await scene(t, { replicas: 2 })
  const sub = await subjectOf(stage)
  stage.provider.fault('jwks', { status: 503, body: '' })
  stage.useReplica(1)
  stage.clock.advance(TOKEN_LIFE + 1)
  await answerWith(stage, { sub, name: 'Unverified' })
  t.equal(outcome(await stage.browser.fetch('/api/a')), '200')
  t.not((await sessionOf(stage.browser)).claims.name, 'Unverified', 'what is not verified is not taken over')
})

t.test('while the keys are out of reach another subject still ends the session', async (t) => {
  const stage = await scene(t, { replicas: 2 })
  stage.provider.fault('jwks', { status: 503, body: '' })
  stage.useReplica(1)
  stage.clock.advance(TOKEN_LIFE + 1)
  await answerWith(stage, { sub: 'someone-else' })
  t.equal(outcome(await stage.browser.fetch('/api/a')), '401 session_expired')
})

t.test('REF-02/03 an answer without a refresh token keeps the old one', async (t) => {
  const stage = await scene(t)
  const { browser, clock, provider } = stage
  clock.advance(TOKEN_LIFE + 1)
  await answerWith(stage, null, { refresh_token: undefined })
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  const sent = provider.log.filter(({ endpoint }) => endpoint === 'token').map(({ body }) => new URLSearchParams(body))
  t.equal(sent.at(-1)?.get('refresh_token'), sent.at(-2)?.get('refresh_token'))
})

t.test('REF-17 only expires_in counts, whatever the access token looks like', async (t) => {
  const stage = await scene(t)
  const { browser, clock, provider } = stage
  const access = await provider.sign({ exp: 1 })
  clock.advance(TOKEN_LIFE + 1)
  await answerWith(stage, null, { access_token: access })
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  t.equal(provider.calls.token, 2)
})

t.test('REF-22 a narrower scope is kept and shown', async (t) => {
  const stage = await scene(t)
  stage.clock.advance(TOKEN_LIFE + 1)
  await answerWith(stage, null, { scope: 'openid' })
  await stage.browser.fetch('/api/a')
  t.equal((await sessionOf(stage.browser)).scope, 'openid')
})

for (const name of ['refresh_expires_in', 'refresh_token_expires_in', 'refresh_token_timeout']) {
  t.test(`${name} bounds the session, anew with each refresh`, async (t) => {
    const stage = await scene(t)
    const { browser, clock, provider } = stage
    const absolute = (await sessionOf(browser)).expires_at
    clock.advance(TOKEN_LIFE + 1)
    await answerWith(stage, null, { [name]: 300 })
    const now = Math.floor(clock() / 1000)
    await browser.fetch('/api/a')
    const { expires_at: end } = await sessionOf(browser)
    t.ok(end >= now + 300 && end <= now + 302, 'the refresh token\'s end')
    clock.advance(200)
    await answerWith(stage, null, { [name]: '1000' })
    await browser.fetch('/api/a')
    t.ok((await sessionOf(browser)).expires_at >= now + 1100, 'moved on')
    clock.advance(TOKEN_LIFE + 1)
    await answerWith(stage, null, { [name]: 0 })
    await browser.fetch('/api/a')
    t.equal((await sessionOf(browser)).expires_at, absolute, 'REF-18 never beyond the absolute end')
    const calls = provider.calls.token
    clock.advance(TOKEN_LIFE + 1)
    await answerWith(stage, null, { [name]: 200 })
    const copy = browser.clone()
    await copy.fetch('/api/a')
    const header = copy.jar.header(new URL(stage.url)) ?? ''
    clock.advance(201)
    const answer = await copy.fetch('/api/a', { headers: { cookie: header } })
    t.equal(outcome(answer).slice(0, 3), '401')
    t.equal(provider.calls.token, calls + 1, 'a refresh token that is over is not tried')
  })
}

t.test('authorization_expires_in bounds the session for good', async (t) => {
  const stage = await scene(t)
  const { browser, clock } = stage
  clock.advance(TOKEN_LIFE + 1)
  await answerWith(stage, null, { authorization_expires_in: 500 })
  await browser.fetch('/api/a')
  const { expires_at: end } = await sessionOf(browser)
  t.ok(Math.abs(end - clock() / 1000 - 500) < 3)
  clock.advance(TOKEN_LIFE + 1)
  await answerWith(stage, null)
  await browser.fetch('/api/a')
  t.equal((await sessionOf(browser)).expires_at, end)
})

t.test('REF-18 no refresh moves the absolute end, and after it nothing is refreshed', async (t) => {
  const { browser, clock, provider } = await scene(t, { settings: { session: { max_age: '150s' } } })
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  const header = browser.jar.header(new URL(browser.url ?? '')) ?? ''
  clock.advance(50)
  const answer = await fetch(new URL('/api/a', browser.url ?? ''), { headers: { cookie: header, 'x-csrf': '1' } })
  t.equal(answer.headers.get('bulla-error'), 'session_expired')
  t.equal(provider.calls.token, 2)
})
