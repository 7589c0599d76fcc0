// Back-channel logout: what the provider pushes is verified and acted on, and no answer is hollow.
import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose'
import t, { type Test } from 'tap'
import { LOGOUT_EVENT } from '../../src/oidc/backchannel.ts'
import type { RevocationList } from '../../src/session/revocation-list.ts'
import type { Session } from '../../src/session/session.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

const now = (): number => Math.floor(Date.now() / 1000)

interface Pushed { status: number, body: Record<string, string>, headers: Record<string, unknown> }

interface Setup extends World {
  /** Claims that would log the browser out. */
  claims (change?: Record<string, unknown>): JWTPayload
  /** Pushes a token, or what goes for one. */
  push (token: string): Promise<Pushed>
  isLoggedIn (): Promise<boolean>
}

/** A world whose browser is logged in; the provider's ID tokens name its session. */
async function setUp (t: Test, options: WorldOptions = {}): Promise<Setup> {
  const world = await startWorld(t, {
    ...options,
    provider: { backchannelLogoutUri: 'http://127.0.0.1:9/bff/backchannel-logout', ...options.provider }
  })
  await world.login()
  const session = sessionOf(world)
  if (session.providerSid === undefined) throw new Error('the ID token has no sid')
  return {
    ...world,
    claims: (change = {}) => ({
      iss: world.provider.issuer,
      aud: world.provider.clientId,
      iat: now(),
      exp: now() + 120,
      jti: randomUUID(),
      sub: session.subject,
      sid: session.providerSid,
      events: { [LOGOUT_EVENT]: {} },
      ...change
    }),
    push: async (token) => {
      const answer = await world.bulla.app.inject({
        method: 'POST',
        url: '/bff/backchannel-logout',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        payload: new URLSearchParams({ logout_token: token, other: 'ignored' }).toString()
      })
      return { status: answer.statusCode, body: answer.body === '' ? {} : answer.json(), headers: answer.headers }
    },
    isLoggedIn: async () => (await world.browser.fetch('/bff/session')).json().authenticated as boolean
  }
}

function sessionOf ({ bulla, browser }: Pick<World, 'bulla' | 'browser'>): Session {
  const { cookies, store } = bulla.app.sessions
  const session = store.open(cookies.read(browser.jar.header(bulla.url)))
  if (session === null) throw new Error('there is no session')
  return session
}

const typed = { typ: 'logout+jwt' }

t.test('oidcc-client-test-rp-backchannel-rpinitlogout BCL-01 BCL-04/05 BCL-09 BCL-10/11 S32 a valid token ends the session', async (t) => {
  const { bulla, browser, claims, push, provider, isLoggedIn, login } = await setUp(t)
  const calls = { ...provider.calls }
  const { status, headers } = await push(await provider.sign(claims(), typed))
  t.equal(status, 200)
  t.match(headers['cache-control'], 'no-store')
  t.equal(headers['set-cookie'], undefined)
  const answer = await browser.fetch('/api/orders')
  t.equal(answer.status, 401)
  t.equal(answer.headers['bulla-error'], 'session_revoked')
  t.strictSame(answer.setCookies, [], 'reading deletes nothing')
  t.notOk(await isLoggedIn())
  t.equal((await browser.fetch('/bff/refresh', { method: 'POST' })).json().code, 'session_revoked')
  t.strictSame(provider.calls, calls, 'the provider is not asked')
  t.equal(bulla.app.revocations.counts.values.backchannel_logouts, 1)
  await login()
  t.ok(await isLoggedIn(), 'a login after the logout is unharmed, even in the same second')
})

const suite = 'oidcc-client-test-rp-backchannel-rpinitlogout'
const refused: ReadonlyArray<[string, (setup: Setup) => Promise<string> | string]> = [
  [`${suite}-alg-none BCL-02 alg none`, ({ claims }) => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    return `${part({ alg: 'none', typ: 'logout+jwt' })}.${part(claims())}.`
  }],
  [`${suite}-no-event BCL-04/05 no events`, async ({ claims, provider }) => await provider.sign(claims({ events: undefined }), typed)],
  [`${suite}-with-nonce BCL-06 a nonce`, async ({ claims, provider }) => await provider.sign(claims({ nonce: 'n' }), typed)],
  [`${suite}-wrong-alg BCL-02 an algorithm that is not on the list`, async ({ claims }) => {
    const { privateKey } = await generateKeyPair('ES256')
    return await new SignJWT(claims()).setProtectedHeader({ alg: 'ES256', kid: 'demo-1', ...typed }).sign(privateKey)
  }],
  [`${suite}-wrong-aud BCL-03 another client`, async ({ claims, provider }) => await provider.sign(claims({ aud: 'another' }), typed)],
  [`${suite}-wrong-event BCL-04/05 another event`, async ({ claims, provider }) =>
    await provider.sign(claims({ events: { 'http://schemas.openid.net/event/other': {} } }), typed)],
  [`${suite}-wrong-iss BCL-03 another issuer`, async ({ claims, provider }) =>
    await provider.sign(claims({ iss: 'https://evil.example' }), typed)],
  ['BCL-02 HS256 with the client secret', async ({ claims, provider }) =>
    await new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', ...typed }).sign(Buffer.from(provider.clientSecret))],
  ['BCL-02 a signature by another key under a known kid', async ({ claims }) => {
    const { privateKey } = await generateKeyPair('RS256')
    return await new SignJWT(claims()).setProtectedHeader({ alg: 'RS256', kid: 'demo-1', ...typed }).sign(privateKey)
  }],
  ['BCL-02 a key that the token brings along', async ({ claims }) => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
    const jwk = await exportJWK(publicKey)
    return await new SignJWT(claims()).setProtectedHeader({ alg: 'RS256', jwk, ...typed }).sign(privateKey)
  }],
  ['BCL-02 an unknown kid', async ({ claims, provider }) => await provider.sign(claims(), { kid: 'unknown', ...typed })],
  ['BCL-03 a further audience', async ({ claims, provider }) =>
    await provider.sign(claims({ aud: [provider.clientId, 'another'] }), typed)],
  ['BCL-03 S32 no aud', async ({ claims, provider }) => await provider.sign(claims({ aud: undefined }), typed)],
  ['BCL-03 no iss', async ({ claims, provider }) => await provider.sign(claims({ iss: undefined }), typed)],
  ['BCL-03 no iat', async ({ claims, provider }) => await provider.sign(claims({ iat: undefined }), typed)],
  ['BCL-03 no exp', async ({ claims, provider }) => await provider.sign(claims({ exp: undefined }), typed)],
  ['BCL-03 an exp that is over', async ({ claims, provider }) => await provider.sign(claims({ exp: now() - 60 }), typed)],
  ['BCL-03 an iat to come', async ({ claims, provider }) => await provider.sign(claims({ iat: now() + 300 }), typed)],
  ['BCL-03 an iat long ago', async ({ claims, provider }) => await provider.sign(claims({ iat: now() - 3600 }), typed)],
  ['BCL-04/05 neither sub nor sid', async ({ claims, provider }) =>
    await provider.sign(claims({ sub: undefined, sid: undefined }), typed)],
  ['BCL-04/05 a sid that is no text', async ({ claims, provider }) => await provider.sign(claims({ sid: 7 }), typed)],
  ['BCL-04/05 an event that is true', async ({ claims, provider }) =>
    await provider.sign(claims({ events: { [LOGOUT_EVENT]: true } }), typed)],
  ['BCL-04/05 an event that is a list', async ({ claims, provider }) =>
    await provider.sign(claims({ events: { [LOGOUT_EVENT]: [] } }), typed)],
  ['BCL-08/12 no jti', async ({ claims, provider }) => await provider.sign(claims({ jti: undefined }), typed)],
  ['BCL-07 typ at+jwt', async ({ claims, provider }) => await provider.sign(claims(), { typ: 'at+jwt' })],
  ['BCL-06 BCL-07 an ID token', async ({ claims, provider }) => await provider.sign(claims({ nonce: 'n', events: undefined }))],
  ['an empty token', () => ''],
  ['noise', () => 'a.b.c'],
  ['five parts', () => 'a.b.c.d.e']
]
t.test('what is refused with 400 logs nobody out', async (t) => {
  const setup = await setUp(t)
  for (const [name, make] of refused) {
    await t.test(`${name} is refused`, async (t) => {
      const { status, body, headers } = await setup.push(await make(setup))
      t.equal(status, 400)
      t.equal(body.error, 'invalid_request')
      t.type(body.error_description, 'string')
      t.match(headers['cache-control'], 'no-store')
      t.ok(await setup.isLoggedIn())
    })
  }
})

t.test('BCL-07 a token without typ is taken, and so is application/logout+jwt', async (t) => {
  for (const header of [{}, { typ: 'application/logout+jwt' }, { typ: 'Logout+JWT' }]) {
    const { claims, push, provider, isLoggedIn } = await setUp(t)
    t.equal((await push(await provider.sign(claims(), header))).status, 200)
    t.notOk(await isLoggedIn())
  }
})

t.test('BCL-08/12 a token that is replayed within its life is refused', async (t) => {
  let clock = Date.now()
  const { claims, push, provider, login, isLoggedIn } = await setUp(t, { deps: { clock: () => clock } })
  const token = await provider.sign(claims(), typed)
  t.equal((await push(token)).status, 200)
  clock += 2_000
  await login()
  for (let time = 0; time < 3; time++) {
    t.match(await push(token), { status: 400, body: { error_description: /used before/ } })
  }
  t.ok(await isLoggedIn(), 'and ends no later login')
})

t.test('BCL-08/12 without sid every session of the subject ends, those that began later excepted', async (t) => {
  let clock = Date.now()
  const deps = { clock: () => clock }
  const { bulla, browser, claims, push, provider, login, isLoggedIn } = await setUp(t, { deps })
  const other = browser.clone()
  other.jar.clear(({ name }) => name.startsWith('bulla'))
  await other.navigate(`${bulla.url}/bff/login`)
  t.ok((await other.fetch('/bff/session')).json().authenticated)
  t.equal((await push(await provider.sign(claims({ sid: undefined }), typed))).status, 200)
  t.notOk(await isLoggedIn())
  t.notOk((await other.fetch('/bff/session')).json().authenticated)
  clock += 60_000
  await login()
  t.ok(await isLoggedIn())
  const at = Math.floor(clock / 1000)
  const late = claims({ sid: undefined, iat: at - 50, exp: at + 60 })
  t.equal((await push(await provider.sign(late, typed))).status, 200)
  t.ok(await isLoggedIn(), 'a token that was long under way ends no session that began after it')
})

t.test('BCL-04/05 only the session that the token names ends; where sessions have no sid, all of the subject', async (t) => {
  const { bulla, browser, claims, push, provider, isLoggedIn } = await setUp(t)
  t.equal((await push(await provider.sign(claims({ sid: 'another' }), typed))).status, 200)
  t.ok(await isLoggedIn())
  const { providerSid, ...session } = sessionOf({ bulla, browser })
  const lines = await bulla.app.sessions.store.write(session, null)
  for (const line of lines) browser.jar.setCookie(line, new URL(bulla.url))
  t.notOk(await isLoggedIn(), 'nobody can tell whether it is the one')
})

t.test('BCL-09 the list outlives a session that the provider would go on refreshing (I69)', async (t) => {
  let clock = Date.now()
  const { browser, claims, push, provider, isLoggedIn } = await setUp(t, {
    provider: { accessTokenTtl: 60 }, settings: { session: { max_age: '2h' } }, deps: { clock: () => clock }
  })
  t.equal((await push(await provider.sign(claims(), typed))).status, 200)
  const calls = provider.calls.token
  for (let minute = 0; minute < 119; minute += 17) {
    t.notOk(await isLoggedIn())
    t.equal((await browser.fetch('/api/orders')).status, 401)
    clock += 17 * 60_000
  }
  t.equal(provider.calls.token, calls, 'no refresh is tried')
})

t.test('BCL-01 BCL-10/11 the endpoint takes one form by POST, without cookie, header and Origin, and nothing else', async (t) => {
  const { bulla, provider, claims, isLoggedIn } = await setUp(t)
  const url = '/bff/backchannel-logout'
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const token = await provider.sign(claims(), typed)
  const post = async (payload: string, headers: Record<string, string> = form) =>
    await bulla.app.inject({ method: 'POST', url, headers, payload })
  t.equal((await bulla.app.inject({ method: 'GET', url })).statusCode, 405)
  t.equal((await bulla.app.inject({ method: 'POST', url })).statusCode, 400, 'no body')
  t.equal((await post('')).statusCode, 400)
  t.equal((await post('logout_token=')).statusCode, 400)
  t.equal((await post('token=x')).statusCode, 400)
  t.equal((await post(`logout_token=${token}&logout_token=${token}`)).statusCode, 400)
  for (const answer of [
    await post(JSON.stringify({ logout_token: token }), { 'content-type': 'application/json' }),
    await post(`logout_token=${token}`, { 'content-type': 'text/plain' })
  ]) t.match(answer, { statusCode: 415, headers: { 'bulla-error': 'unsupported_media_type', 'cache-control': /no-store/ } })
  t.match(await post(`logout_token=${'x'.repeat(1024 * 1024)}`), { statusCode: 413, headers: { 'bulla-error': 'body_too_large' } })
  t.ok(await isLoggedIn())
  t.equal((await post(`logout_token=${token}&x=1`, { ...form, origin: 'https://evil.example' })).statusCode, 200)
})

t.test('BCL-10/11 more tokens than can be verified at a time are asked to come again', async (t) => {
  const fresh = await startWorld(t)
  let release = (): void => {}
  fresh.provider.delay('jwks', new Promise<void>((resolve) => { release = resolve }))
  const post = async (token: string) => await fresh.bulla.app.inject({
    method: 'POST',
    url: '/bff/backchannel-logout',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: `logout_token=${token}`
  })
  const { issuer: iss, clientId: aud } = fresh.provider
  const sign = async () => await fresh.provider.sign({
    iss, aud, iat: now(), exp: now() + 60, jti: randomUUID(), sub: 'nanni', events: { [LOGOUT_EVENT]: {} }
  }, typed)
  const asked = fresh.provider.nextCall('jwks')
  const tokens = await Promise.all(Array.from({ length: 65 }, sign))
  const waiting = tokens.slice(0, 64).map(post)
  await asked
  const last = await post(tokens[64] ?? '')
  t.equal(last.statusCode, 429)
  t.equal(last.headers['retry-after'], '1')
  release()
  t.strictSame(new Set((await Promise.all(waiting)).map(({ statusCode }) => statusCode)), new Set([200]))
  t.equal((await post(tokens[64] ?? '')).statusCode, 200)
})

t.test('BCL-09 what cannot be carried out is answered with 400, and may be tried again', async (t) => {
  let isDown = true
  const kept: unknown[] = []
  const revocationList: RevocationList = {
    revoke: async (entry) => {
      if (isDown) throw new Error('the list is away')
      kept.push(entry)
    },
    isRevoked: () => false
  }
  const { provider, push, claims } = await setUp(t, { deps: { revocationList } })
  const token = await provider.sign(claims({ sub: 'nanni' }), typed)
  t.match(await push(token), { status: 400, body: { error: 'logout_failed' } })
  isDown = false
  t.match(await push(token), { status: 200 })
  t.match(kept, [{ kind: 'provider_session' }, { kind: 'subject_without_sid', id: 'nanni' }])
})

t.test('BCL-09 while the provider\'s keys cannot be had nothing is believed', async (t) => {
  const world = await startWorld(t)
  const token = await world.provider.sign({
    iss: world.provider.issuer,
    aud: world.provider.clientId,
    iat: now(),
    exp: now() + 60,
    jti: 'j',
    sub: 's',
    events: { [LOGOUT_EVENT]: {} }
  }, typed)
  const post = async () => await world.bulla.app.inject({
    method: 'POST',
    url: '/bff/backchannel-logout',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: `logout_token=${token}`
  })
  for (const fault of [{ status: 503 }, { reset: true as const }]) {
    world.provider.fault('jwks', fault)
    const answer = await post()
    t.equal(answer.statusCode, 400)
    t.equal(answer.json().error, 'logout_failed')
    world.provider.mend()
  }
})

t.test('BCL-09 the endpoint is absent where nothing can act on it', async (t) => {
  const { bulla, push, provider, claims } = await setUp(t, { settings: { backchannel_logout: false } })
  t.equal((await push(await provider.sign(claims(), typed))).status, 404)
  t.equal((await bulla.app.inject({ method: 'GET', url: '/bff/backchannel-logout' })).statusCode, 404)
})

t.test('a real provider\'s logout reaches the session (oidc-provider sends the token itself)', async (t) => {
  const { freePort } = await import('../support/build.ts')
  const port = await freePort()
  const world = await startWorld(t, {
    provider: {
      backchannelLogoutUri: `http://localhost:${port}/bff/backchannel-logout`,
      redirectUris: [`http://localhost:${port}/bff/callback`],
      postLogoutRedirectUris: [`http://localhost:${port}/bff/logged-out`]
    },
    settings: { port, public_url: `http://localhost:${port}` }
  })
  await world.browser.navigate(`http://localhost:${port}/bff/login`)
  t.ok((await world.browser.fetch('/bff/session')).json().authenticated)
  const elsewhere = world.browser.tab()
  await elsewhere.open(`${world.provider.issuer}/logout`)
  await elsewhere.submitAutoForm()
  t.equal((await world.browser.fetch('/api/orders')).json().code, 'session_revoked')
})
