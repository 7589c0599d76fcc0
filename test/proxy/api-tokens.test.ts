// Routes with a token of their own: the client's, an exchanged one, one that the refresh token bought.
import { decodeJwt } from 'jose'
import t from 'tap'
import { namesSet, outcome, scene, sessionOf, TOKEN_LIFE, type Scene, type SceneOptions } from '../support/refreshing.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import type { Teardown } from '../support/build.ts'

const ORDERS = 'https://orders.example'
const STOCK = 'https://stock.example'

/** Seconds that the provider's tokens for a client itself live. */
const CLIENT_LIFE = 600

/** A scene with one upstream behind several routes. */
async function start (
  t: Teardown, routes: readonly object[], options: SceneOptions = {}
): Promise<Scene & { readonly api: Upstream }> {
  const api = await startUpstream(t)
  const built = await scene(t, {
    ...options,
    settings: { routes: routes.map((route) => ({ upstream: api.url, ...route })), ...options.settings },
    provider: { resources: [ORDERS, STOCK], ...options.provider }
  })
  return { ...built, api }
}

function claimsAt (api: Upstream, index: number): Record<string, unknown> {
  return decodeJwt((api.requests.at(index)?.headers.authorization ?? '').replace(/^Bearer /, ''))
}

/** The token requests of a grant, oldest first. */
function grants (provider: Scene['provider'], type: string): URLSearchParams[] {
  return provider.log.filter(({ endpoint }) => endpoint === 'token')
    .map(({ body }) => new URLSearchParams(body)).filter((params) => params.get('grant_type')?.endsWith(type) === true)
}

t.test('token: client sends a token of the client itself, without a session, asked for once', async (t) => {
  const { browser, provider, api, clock } = await start(t, [
    { prefix: '/public', token: 'client', resource: ORDERS, scope: 'orders:read' }
  ])
  const nobody = browser.clone()
  nobody.jar.clear()
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await nobody.fetch('/public/a')))
  t.ok(answers.every(({ status, setCookies }) => status === 200 && setCookies.length === 0))
  t.equal(outcome(await browser.fetch('/public/a')), '200')
  t.match(claimsAt(api, -1), { aud: ORDERS, scope: 'orders:read' })
  t.not(claimsAt(api, -1).sub, (await sessionOf(browser)).sub, 'it speaks for nobody who is logged in')
  const asked = grants(provider, 'client_credentials')
  t.equal(asked.length, 1, 'one call of the token endpoint for all')
  t.strictSame([asked[0]?.get('resource'), asked[0]?.get('scope')], [ORDERS, 'orders:read'])
  clock.advance(CLIENT_LIFE - 15)
  t.equal(outcome(await nobody.fetch('/public/a')), '200')
  t.equal(grants(provider, 'client_credentials').length, 2, 'and again ahead of its expiry')
})

t.test('a client token that lives serves on while the provider is away; without one it is idp_unavailable', async (t) => {
  const { browser, provider, clock } = await start(t, [{ prefix: '/public', token: 'client', resource: ORDERS }])
  provider.fault('token', { status: 503 })
  const refused = await browser.fetch('/public/a')
  t.equal(outcome(refused), '503 idp_unavailable')
  t.match(refused.headers['retry-after'], /^\d+$/)
  provider.mend()
  t.equal(outcome(await browser.fetch('/public/a')), '200')
  provider.fault('token', { status: 503 })
  clock.advance(CLIENT_LIFE - 15)
  t.equal(outcome(await browser.fetch('/public/a')), '200', 'due, and alive')
  clock.advance(20)
  t.equal(outcome(await browser.fetch('/public/a')), '503 idp_unavailable', 'dead')
  const before = provider.calls.token
  await Promise.all(Array.from({ length: 30 }, async () => await browser.fetch('/public/a')))
  t.ok(provider.calls.token - before <= 3, 'a failing provider is spared')
})

t.test('a route of token: client is guarded like any other', async (t) => {
  const { browser, provider, api } = await start(t, [{ prefix: '/public', token: 'client', resource: ORDERS }])
  t.equal(outcome(await browser.fetch('/public/a', { csrf: false })), '403 csrf_header_missing')
  t.equal(grants(provider, 'client_credentials').length, 0)
  t.equal(api.requests.length, 0)
})

t.test('TEX-01 an exchanged token speaks for the person, to its audience, and is kept out of the cookie', async (t) => {
  const { browser, provider, api } = await start(t, [
    { prefix: '/orders', exchange: { audience: 'orders', scope: 'orders:read' } },
    { prefix: '/stock', exchange: { audience: 'stock' } },
    { prefix: '/api' }
  ])
  const before = browser.jar.cookies.map(({ name, value }) => name + value)
  await Promise.all(Array.from({ length: 10 }, async () => await browser.fetch('/orders/a')))
  t.match(claimsAt(api, -1), { aud: 'orders', sub: (await sessionOf(browser)).sub })
  await browser.fetch('/stock/a')
  t.equal(claimsAt(api, -1).aud, 'stock', 'PRX-32 RES-02 each API gets the token that is meant for it')
  await browser.fetch('/api/a')
  t.notMatch(String(claimsAt(api, -1).aud), /^(?:orders|stock)$/)
  const asked = grants(provider, 'token-exchange')
  t.strictSame(asked.map((params) => params.get('audience')), ['orders', 'stock'], 'one exchange for each')
  t.match(Object.fromEntries(asked[0] ?? []), {
    subject_token: /^ey/, subject_token_type: /:access_token$/, requested_token_type: /:access_token$/, scope: 'orders:read'
  })
  t.strictSame(browser.jar.cookies.map(({ name, value }) => name + value), before, 'TEX-02 nothing was written')
})

t.test('S42 an exchanged token is never another person\'s', async (t) => {
  const { login, api } = await start(t, [{ prefix: '/orders', exchange: { audience: 'orders' } }])
  const people = await Promise.all(Array.from({ length: 4 }, login))
  await Promise.all(people.flatMap((person) => [person.fetch('/orders/a'), person.fetch('/orders/b')]))
  const tokens = new Map<string, Set<string>>()
  for (const { url, headers } of api.requests) {
    tokens.set(url, (tokens.get(url) ?? new Set()).add(headers.authorization ?? ''))
  }
  t.equal(tokens.get('/orders/a')?.size, 4)
  t.strictSame(tokens.get('/orders/b'), tokens.get('/orders/a'))
})

t.test('TEX-02 a failing exchange never ends the session', async (t) => {
  const { login, provider, api } = await start(t, [
    { prefix: '/orders', exchange: { audience: 'orders', scope: 'orders:read' } }, { prefix: '/api' }
  ])
  const good = { access_token: 'a', token_type: 'Bearer', issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' }
  const cases: Array<[object, string]> = [
    [{ status: 503 }, '503 idp_unavailable'],
    [{ reset: true }, '503 idp_unavailable'],
    [{ status: 400, body: { error: 'invalid_grant' } }, '502 idp_misconfigured'],
    [{ status: 400, body: { error: 'invalid_target' } }, '502 idp_misconfigured'],
    [{ body: { ...good, token_type: 'N_A' } }, '503 idp_unavailable'],
    [{ body: { ...good, token_type: 'DPoP' } }, '502 idp_misconfigured'],
    [{ body: { ...good, issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' } }, '502 idp_misconfigured'],
    [{ body: { ...good, scope: 'orders:read orders:write' } }, '502 idp_misconfigured'],
    [{ body: { access_token: 'a', token_type: 'Bearer' } }, '502 idp_misconfigured']
  ]
  for (const [fault, expected] of cases) {
    const browser = await login()
    provider.fault('token', fault as { status: number }, { times: 1 })
    const answer = await browser.fetch('/orders/a')
    t.equal(outcome(answer), expected, JSON.stringify(fault))
    t.strictSame(answer.setCookies, [])
    provider.mend()
    t.equal(outcome(await browser.fetch('/api/a')), '200')
  }
  t.ok(api.requests.every(({ url }) => url === '/api/a'), 'nothing went out without a right token')
})

t.test('RES-01 a login asks for the resources of its routes, and each API gets a token of its own', async (t) => {
  const { browser, provider, api } = await start(t, [
    { prefix: '/orders', resource: ORDERS, scope: 'orders:read' }, { prefix: '/stock', resource: STOCK }, { prefix: '/api' }
  ], { provider: { rotation: 'none' }, settings: { scope: 'openid offline_access orders:read' } })
  const asked = new URL(provider.log.find(({ endpoint }) => endpoint === 'authorization')?.url ?? '', provider.issuer)
  t.strictSame(asked.searchParams.getAll('resource'), [ORDERS, STOCK])
  const [orders, stock] = await Promise.all([browser.fetch('/orders/a'), browser.fetch('/stock/a')])
  t.equal(outcome(orders), '200')
  t.equal(outcome(stock), '200')
  const audiences = Object.fromEntries(api.requests.map(({ url, headers }) =>
    [url, decodeJwt((headers.authorization ?? '').slice(7)).aud]))
  t.strictSame(audiences, { '/orders/a': ORDERS, '/stock/a': STOCK })
  t.strictSame(grants(provider, 'refresh_token').map((params) => params.get('resource')).sort(), [ORDERS, STOCK])
  t.strictSame(namesSet(orders), [], 'a refresh token that stays writes no cookie')
  await browser.fetch('/orders/b')
  t.equal(grants(provider, 'refresh_token').length, 2, 'the token is remembered')
})

t.test('a rotated refresh token is handed on: bought tokens, refreshes and late requests go one after the other', async (t) => {
  const { browser, provider, clock, api } = await start(t, [
    { prefix: '/orders', resource: ORDERS }, { prefix: '/stock', resource: STOCK }, { prefix: '/api' }
  ], { provider: { rotation: 'strict' } })
  const late = browser.clone()
  const before = await sessionOf(browser)
  const clones = Array.from({ length: 12 }, () => browser.clone())
  const answers = await Promise.all(clones.map(async (clone, i) => await clone.fetch(i % 2 === 0 ? '/orders/a' : '/stock/a')))
  t.ok(answers.every(({ status }) => status === 200))
  t.equal(grants(provider, 'refresh_token').length, 2)
  t.ok(answers.every((answer) => namesSet(answer).includes('bulla.0')), 'each answer carries the newest session')
  t.equal((await sessionOf(clones[0] ?? browser)).sid, before.sid)
  const again = await late.fetch('/orders/a')
  t.equal(outcome(again), '200')
  t.strictSame(namesSet(again), ['bulla.0'], 'a late request with the old cookie gets the new one too')
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await late.fetch('/api/a')), '200')
  t.equal(outcome(await late.fetch('/orders/a')), '200')
  t.equal(outcome(await late.fetch('/stock/a')), '200')
  t.equal(grants(provider, 'refresh_token').length, 5)
  t.equal(api.requests.length, 12 + 4)
})

t.test('a refresh that comes while a token is bought waits for it, and is done all the same', async (t) => {
  const { browser, provider, clock } = await start(t, [{ prefix: '/orders', resource: ORDERS }, { prefix: '/api' }])
  const [buyer, caller] = [browser.clone(), browser.clone()]
  let release = (): void => {}
  provider.delay('token', new Promise<void>((resolve) => { release = resolve }))
  const arrived = provider.nextCall('token')
  const bought = buyer.fetch('/orders/a')
  await arrived
  clock.advance(TOKEN_LIFE + 1)
  const called = caller.fetch('/api/a')
  release()
  provider.mend('token')
  t.equal(outcome(await bought), '200')
  t.equal(outcome(await called), '200')
  t.strictSame(grants(provider, 'refresh_token').map((params) => params.get('resource')), [ORDERS, null])
})

t.test('what the refresh token cannot buy is said, and ends nothing that lives', async (t) => {
  const { browser, provider, login } = await start(t, [{ prefix: '/orders', resource: ORDERS }, { prefix: '/api' }])
  provider.fault('token', { status: 400, body: { error: 'invalid_target' } }, { times: 1 })
  t.equal(outcome(await browser.fetch('/orders/a')), '502 idp_misconfigured')
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  const second = await login()
  provider.fault('token', { status: 503 }, { times: 1 })
  t.equal(outcome(await second.fetch('/orders/a')), '503 idp_unavailable')
  t.equal(outcome(await second.fetch('/orders/a')), '200')
  const third = await login()
  provider.fault('token', { status: 400, body: { error: 'invalid_grant' } }, { times: 2 })
  const stale = await third.fetch('/orders/a')
  t.equal(outcome(stale), '401 session_stale')
  t.strictSame(namesSet(stale), ['bulla-spent'])
  t.equal(outcome(await third.fetch('/orders/a')), '401 session_expired')
  t.equal(outcome(await third.fetch('/api/a')), '200', 'its own access token still lives')
})

t.test('an invalid_grant that speaks of one API alone ends no session: a refresh shows that the token is good', async (t) => {
  const { browser, provider, clock } = await start(t, [{ prefix: '/orders', resource: ORDERS }, { prefix: '/api' }])
  provider.fault('token', { status: 400, body: { error: 'invalid_grant' } }, { times: 1 })
  const refused = await browser.fetch('/orders/a')
  t.equal(outcome(refused), '502 idp_misconfigured')
  t.strictSame(namesSet(refused), ['bulla.0'], 'the refresh that showed it is delivered')
  t.equal(outcome(await browser.fetch('/orders/a')), '502 idp_misconfigured')
  t.equal(grants(provider, 'refresh_token').length, 2, 'a refusal stands for a while')
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a')), '200')
})

t.test('TEX-02 a call that fails after the refresh token was replaced brings the new session all the same', async (t) => {
  const { browser, provider, clock } = await start(t, [{ prefix: '/orders', exchange: { audience: 'orders' } }, { prefix: '/api' }])
  const late = browser.clone()
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/api/a')), '200')
  provider.fault('token', { status: 503 }, { times: 1 })
  const failed = await late.fetch('/orders/a')
  t.equal(outcome(failed), '503 idp_unavailable')
  t.strictSame(namesSet(failed), ['bulla.0'])
  const bought = await start(t, [{ prefix: '/orders', resource: ORDERS, scope: 'orders:read' }, { prefix: '/api' }], {
    settings: { scope: 'openid offline_access orders:read orders:write' }, provider: { rotation: 'strict' }
  })
  bought.provider.provider.on('grant.success', (ctx) => {
    if (ctx.oidc.params?.grant_type === 'refresh_token') Object.assign(ctx.body as object, { scope: 'orders:read orders:write' })
  })
  const wide = await bought.browser.fetch('/orders/a')
  t.equal(outcome(wide), '502 idp_misconfigured', 'TEX-01 a wider token is not used')
  t.strictSame(namesSet(wide), ['bulla.0'], 'and the refresh token that came with it is kept')
  t.equal(bought.api.requests.length, 0)
})

t.test('an old token serves on through an outage, but not for a session that is over', async (t) => {
  const { browser, provider, clock, login } = await start(t, [{ prefix: '/orders', resource: ORDERS }, { prefix: '/api' }], {
    provider: { rotation: 'none' }
  })
  await browser.fetch('/orders/a')
  const other = await login()
  await other.fetch('/orders/a')
  clock.advance(TOKEN_LIFE - 15)
  await browser.fetch('/api/a')
  await other.fetch('/api/a')
  provider.fault('token', { status: 503 })
  t.equal(outcome(await browser.fetch('/orders/a')), '200', 'due, and alive')
  provider.mend()
  const idToken = await provider.sign({
    iss: provider.issuer, sub: 'somebody-else', aud: provider.clientId, iat: Math.floor(Date.now() / 1000), exp: 9_999_999_999
  })
  provider.fault('token', { body: { access_token: 'a', token_type: 'Bearer', expires_in: 100, id_token: idToken } }, { times: 1 })
  const over = await browser.fetch('/orders/a')
  t.equal(outcome(over), '401 session_expired', 'REF-04 an answer that speaks of someone else ends the session')
  t.ok(namesSet(over).includes('bulla-end'))
  const held = provider.nextCall('token')
  let release = (): void => {}
  provider.delay('token', new Promise<void>((resolve) => { release = resolve }))
  const clone = other.clone()
  const buying = other.fetch('/orders/a')
  await held
  await clone.fetch('/bff/logout', { method: 'POST' })
  release()
  provider.mend()
  t.match(outcome(await buying), /^401 session_revoked/, 'I70 a logout that came meanwhile holds')
})

t.test('a purchase whose answer was lost is made good when the access token ends, and not before', async (t) => {
  const { browser, provider, clock } = await start(t, [{ prefix: '/orders', resource: ORDERS }, { prefix: '/api' }], {
    provider: { rotation: 'strict' }
  })
  const deaf = browser.clone()
  t.equal(outcome(await browser.fetch('/orders/a')), '200', 'its answer never reaches the other browser')
  t.strictSame(namesSet(await deaf.fetch('/api/a')), [])
  clock.advance(TOKEN_LIFE + 1)
  const healed = await deaf.fetch('/api/a')
  t.equal(outcome(healed), '200')
  t.strictSame(namesSet(healed), ['bulla.0'])
  t.ok(grants(provider, 'refresh_token').length >= 2)
})

t.test('REF-04 a 401 after which the session turns out to be over says so, in aggregates too', async (t) => {
  for (const path of ['/orders/a', '/bff/aggregate/page']) {
    const { browser, provider, api, clock } = await start(t, [{ prefix: '/orders', resource: ORDERS }, { prefix: '/api' }], {
      settings: { aggregates: { page: { a: '/orders/a' } } }
    })
    await browser.fetch('/orders/a')
    clock.advance(40)
    api.handler = (_request, response) => {
      response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end('theirs')
    }
    provider.fault('token', { status: 400, body: { error: 'invalid_grant' } })
    const answer = await browser.fetch(path)
    t.equal(outcome(answer), '401', path)
    t.strictSame(namesSet(answer), ['bulla-spent'], path)
  }
})

t.test('PRX-32 with authorization_params.resource the login\'s own token is for that API alone', async (t) => {
  const { browser, api, clock, provider } = await start(t, [{ prefix: '/orders', resource: ORDERS }, { prefix: '/api' }], {
    settings: { authorization_params: { resource: STOCK } }
  })
  await browser.fetch('/api/a')
  t.equal(claimsAt(api, -1).aud, STOCK)
  await browser.fetch('/orders/a')
  t.equal(claimsAt(api, -1).aud, ORDERS)
  clock.advance(TOKEN_LIFE + 1)
  await browser.fetch('/api/a')
  t.equal(claimsAt(api, -1).aud, STOCK, 'after a refresh too')
  const asked = new URL(provider.log.find(({ endpoint }) => endpoint === 'authorization')?.url ?? '', provider.issuer)
  t.strictSame(asked.searchParams.getAll('resource'), [STOCK, ORDERS])
})

t.test('what one API\'s token meets slows nobody else down', async (t) => {
  const { provider, clock, login } = await start(t, [{ prefix: '/orders', resource: ORDERS }, { prefix: '/api' }])
  const people = await Promise.all(Array.from({ length: 8 }, login))
  for (const fault of [{ status: 400, body: { error: 'unauthorized_client' } }, { status: 500 }]) {
    provider.fault('token', fault)
    for (const person of people.slice(0, 4)) t.match(outcome(await person.fetch('/orders/a')), /^50[23] /)
    provider.mend()
  }
  clock.advance(TOKEN_LIFE + 1)
  const answers = await Promise.all(people.map(async (person) => await person.fetch('/api/a')))
  t.ok(answers.every(({ status }) => status === 200))
})

t.test('a late refusal of a token that was replaced meanwhile costs no other one', async (t) => {
  const { browser, api, clock, provider } = await start(t, [{ prefix: '/orders', token: 'client', resource: ORDERS }])
  await browser.fetch('/orders/a')
  const old = api.requests[0]?.headers.authorization
  clock.advance(40)
  let release = (): void => {}
  const slow = new Promise<void>((resolve) => { release = resolve })
  api.handler = async (request, response) => {
    if (request.url === '/orders/slow') await slow
    if (request.headers.authorization === old) response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
    else response.end('served')
  }
  const arrived = api.nextRequest()
  const late = browser.clone().fetch('/orders/slow')
  await arrived
  t.equal(outcome(await browser.fetch('/orders/fast')), '200')
  release()
  t.equal(outcome(await late), '200', 'with the token that is known by now')
  t.equal(grants(provider, 'client_credentials').length, 2)
})

t.test('a token that its API refuses is replaced once, if it is not new', async (t) => {
  for (const route of [{ exchange: { audience: 'orders' } }, { resource: ORDERS }, { token: 'client', resource: ORDERS }]) {
    const { browser, api, clock, provider } = await start(t, [{ prefix: '/orders', ...route }], { provider: { rotation: 'none' } })
    await browser.fetch('/orders/a')
    const first = api.requests[0]?.headers.authorization
    let refusals = 2
    api.handler = (_request, response) => {
      refusals -= 1
      if (refusals >= 0) response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end('theirs')
      else response.end('served')
    }
    const before = provider.calls.token
    t.equal(outcome(await browser.fetch('/orders/b')), '401', 'a new token is not replaced')
    t.equal(provider.calls.token, before)
    clock.advance(40)
    refusals = 1
    const answer = await browser.fetch('/orders/c')
    t.equal(outcome(answer), '200')
    t.equal(answer.text, 'served')
    t.not(api.requests.at(-1)?.headers.authorization, first)
    refusals = 1
    clock.advance(40)
    provider.fault('token', { status: 503 })
    t.equal(outcome(await browser.fetch('/orders/d')), '401', 'the API\'s own answer, if there is no other token')
  }
})

t.test('token: optional leaves out what cannot be had without a login', async (t) => {
  const { browser, api, provider } = await start(t, [{ prefix: '/orders', token: 'optional', resource: ORDERS }])
  const nobody = browser.clone()
  nobody.jar.clear()
  t.equal(outcome(await nobody.fetch('/orders/a')), '200')
  t.equal(api.requests.at(-1)?.headers.authorization, undefined)
  provider.fault('token', { status: 400, body: { error: 'invalid_grant' } }, { times: 2 })
  const answer = await browser.fetch('/orders/a')
  t.equal(outcome(answer), '200')
  t.strictSame(namesSet(answer), ['bulla-spent'])
  t.equal(api.requests.at(-1)?.headers.authorization, undefined)
  const other = await start(t, [{ prefix: '/orders', token: 'optional', exchange: { audience: 'orders' } }])
  other.provider.fault('token', { status: 503 }, { times: 1 })
  t.equal(outcome(await other.browser.fetch('/orders/a')), '503 idp_unavailable', 'an outage is no missing login')
})

t.test('token: optional with a session that is over is a call without a token', async (t) => {
  const { browser, api, clock } = await start(t, [{ prefix: '/orders', token: 'optional', exchange: {} }], {
    provider: { configure: (configuration) => { configuration.issueRefreshToken = () => false } }
  })
  t.equal(outcome(await browser.fetch('/orders/a')), '200')
  t.match(api.requests.at(-1)?.headers.authorization, /^Bearer /)
  clock.advance(TOKEN_LIFE + 1)
  t.equal(outcome(await browser.fetch('/orders/a')), '200')
  t.equal(api.requests.at(-1)?.headers.authorization, undefined)
})

t.test('a client that the provider refuses is idp_misconfigured', async (t) => {
  const { browser, provider } = await start(t, [{ prefix: '/public', token: 'client', scope: 'orders:read' }])
  provider.fault('token', { status: 401, body: { error: 'invalid_client' } }, { times: 1 })
  t.equal(outcome(await browser.fetch('/public/a')), '502 idp_misconfigured')
})

t.test('a session without a refresh token cannot buy: no login would mend that, and none is begun', async (t) => {
  const { browser, url } = await start(t, [{ prefix: '/orders', resource: ORDERS, csrf: 'fetch-metadata' }], {
    provider: { configure: (configuration) => { configuration.issueRefreshToken = () => false } }
  })
  t.equal(outcome(await browser.fetch('/orders/a')), '502 idp_misconfigured')
  t.equal((await browser.navigate(`${url}/orders/a`)).status, 502)
})
