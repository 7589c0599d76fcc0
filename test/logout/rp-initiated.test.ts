// Logout asked for by the app: cookies gone, tokens revoked, the way to the provider's own logout.
import t from 'tap'
import type { Config } from '../../src/config/schema.ts'
import type { Session } from '../../src/session/session.ts'
import { startWorld, type World } from '../support/world.ts'
import type { TestProvider } from '../support/provider.ts'

/** Waits for the calls to the revocation endpoint that a logout makes in the background. */
async function revoked (provider: TestProvider, count: number): Promise<URLSearchParams[]> {
  while (provider.calls.revocation < count) await provider.nextCall('revocation')
  return provider.log.filter(({ endpoint }) => endpoint === 'revocation').map(({ body }) => new URLSearchParams(body))
}

function sessionOf ({ bulla, browser }: World): Session {
  const { cookies, store } = bulla.app.sessions
  const session = store.open(cookies.read(browser.jar.header(bulla.url)))
  if (session === null) throw new Error('there is no session')
  return session
}

/** The names of the cookies of ours that a browser holds. */
const ours = ({ browser }: World): string[] =>
  browser.jar.cookies.map(({ name }) => name).filter((name) => name.startsWith('bulla'))

const names = (setCookies: readonly string[]): string[] => setCookies.map((line) => line.slice(0, line.indexOf('=')))

async function isLoggedIn ({ browser }: World): Promise<boolean> {
  return (await browser.fetch('/bff/session')).json().authenticated as boolean
}

t.test('RPI-01 RPI-02/05 RPI-03 RPI-06 a logout by fetch ends the session and hands out the end-session URL', async (t) => {
  const world = await startWorld(t)
  await world.login()
  const answer = await world.browser.fetch('/bff/logout', { method: 'POST' })
  t.equal(answer.status, 200)
  t.match(answer.headers['cache-control'], 'no-store')
  const url = new URL(answer.json().logout_url)
  t.equal(url.origin + url.pathname, `${world.provider.issuer}/logout`)
  t.match(url.searchParams.get('id_token_hint'), /^ey[\w-]+\.ey[\w-]+\.[\w-]+$/)
  t.equal(url.searchParams.get('client_id'), world.provider.clientId)
  t.equal(url.searchParams.get('post_logout_redirect_uri'), `${world.bulla.url}/bff/logged-out`)
  t.match(url.searchParams.get('state'), /^[\w-]{22}$/)
  t.notOk(await isLoggedIn(world))
  t.equal((await world.browser.fetch('/api/orders')).status, 401)
  t.strictSame(ours(world), ['bulla-end'], 'only the tombstone is left')
})

t.test('oidcc-client-test-rp-init-logout RPI-01 a logout by form leads by way of the provider to the landing page', async (t) => {
  const world = await startWorld(t, { settings: { post_logout_page: '/bye' } })
  await world.login()
  await world.browser.submitForm({ action: '/bff/logout' })
  t.equal(world.browser.url?.origin, world.provider.issuer, 'the provider was told')
  const back = await world.browser.submitAutoForm()
  const landing = back.hops.find(({ url }) => url.pathname === '/bff/logged-out')
  t.equal(landing?.status, 303)
  t.match(landing?.headers['cache-control'], 'no-store')
  t.equal(world.browser.url?.pathname, '/bye')
  t.notOk(await isLoggedIn(world))
  await world.login()
  t.ok(await isLoggedIn(world), 'a new login is not hit by the old tombstone')
})

for (const [module, query] of [
  ['rp-init-logout-other-state', '?state=another'], ['rp-init-logout-no-state', ''],
  ['a state that comes twice', '?state=a&state=b'], ['noise', '?post_logout_redirect_uri=https://evil.example&%ff']
] as const) {
  t.test(`oidcc-client-test-${module} RPI-04 the way back leads to the landing page and does nothing`, async (t) => {
    const world = await startWorld(t)
    await world.login()
    const answer = await world.browser.fetch(`/bff/logged-out${query}`, { redirect: 'manual', csrf: false })
    t.equal(answer.status, 303)
    t.equal(answer.headers.location, '/')
    t.strictSame(answer.setCookies, [])
    t.ok(await isLoggedIn(world), 'whoever calls this address logs nobody out')
  })
}

t.test('REV-01 the refresh token is revoked, then the access token, by the authenticated client', async (t) => {
  const world = await startWorld(t, { provider: { audience: null } })
  await world.login()
  await world.browser.fetch('/api/orders')
  const accessToken = world.upstream.requests[0]?.headers.authorization?.slice(7)
  await world.browser.fetch('/bff/logout', { method: 'POST' })
  const [first, second] = await revoked(world.provider, 2)
  t.equal(first?.get('token_type_hint'), 'refresh_token')
  t.equal(second?.get('token_type_hint'), 'access_token')
  t.equal(second?.get('token'), accessToken)
  const call = world.provider.log.find(({ endpoint }) => endpoint === 'revocation')
  t.match(call?.headers.authorization, /^Basic /)
  await world.bulla.server.close()
  const { values } = world.bulla.app.revocations.counts
  t.match(values, { logouts: 1, tokens_revoked: 2, token_revocations_failed: 0 })
})

for (const [name, fault] of [
  ['503', { status: 503 }], ['unsupported_token_type', { status: 400, body: { error: 'unsupported_token_type' } }],
  ['a reset connection', { reset: true as const }], ['an answer that is no JSON', { status: 400, body: '<html>' }]
] as const) {
  t.test(`REV-02/03 ${name} from the revocation endpoint is logged and blocks nothing`, async (t) => {
    const lines: string[] = []
    const logger = { level: 'info', stream: { write: (line: string) => { lines.push(line) } } }
    const world = await startWorld(t, { deps: { logger } })
    await world.login()
    world.provider.fault('revocation', fault)
    const answer = await world.browser.fetch('/bff/logout', { method: 'POST' })
    t.equal(answer.status, 200)
    t.notOk(await isLoggedIn(world))
    await world.bulla.server.close()
    t.match(world.bulla.app.revocations.counts.values, { tokens_revoked: 0, token_revocations_failed: 2 })
    const warnings = lines.map((line) => JSON.parse(line)).filter(({ msg }) => /could not be revoked/.test(msg))
    t.strictSame(warnings.map(({ token }) => token), ['refresh_token', 'access_token'])
    t.notMatch(lines.join(), /eyJ/, 'no token is logged')
  })
}

t.test('REV-02/03 a revocation endpoint that hangs delays no answer, and the shutdown 5 s at most', async (t) => {
  const world = await startWorld(t)
  await world.login()
  world.provider.fault('revocation', { hang: true })
  const call = world.provider.nextCall('revocation')
  t.equal((await world.browser.fetch('/bff/logout', { method: 'POST' })).status, 200)
  await call
  t.equal(world.bulla.app.revocations.counts.values.token_revocations_failed, 0, 'it was not waited for')
  await world.bulla.server.close()
  t.equal(world.bulla.app.revocations.counts.values.token_revocations_failed, 2, 'the shutdown waited for the outcome')
})

t.test('RPI-07/08 without end-session and revocation endpoint the local logout works', async (t) => {
  const configure = (configuration: { features?: object | undefined }): void => {
    const off = { enabled: false }
    Object.assign(configuration.features ?? {}, { rpInitiatedLogout: off, revocation: off })
  }
  const world = await startWorld(t, { provider: { configure } })
  await world.login()
  const copy = world.browser.clone()
  t.strictSame((await world.browser.fetch('/bff/logout', { method: 'POST' })).json(), { logout_url: null })
  t.notOk(await isLoggedIn(world))
  copy.page = world.browser.page
  await copy.submitForm({ action: '/bff/logout' })
  t.equal(copy.url?.pathname, '/', 'a form ends at the landing page')
})

t.test('RPI-07/08 logout is idempotent, and works without a session', async (t) => {
  const world = await startWorld(t)
  await world.browser.open(`${world.bulla.url}/`)
  t.strictSame((await world.browser.fetch('/bff/logout', { method: 'POST' })).json(), { logout_url: null })
  await world.login()
  for (const expected of [/^http/, null, null]) {
    const answer = await world.browser.fetch('/bff/logout', { method: 'POST' })
    t.equal(answer.status, 200)
    t.match(answer.json(), { logout_url: expected })
    t.notOk(await isLoggedIn(world))
  }
  await world.browser.submitForm({ action: '/bff/logout' })
  t.equal(world.browser.url?.pathname, '/')
})

t.test('RPI-09 CSR-07 no other site can log somebody out', async (t) => {
  const world = await startWorld(t)
  await world.login()
  const url = `${world.bulla.url}/bff/logout`
  for (const [headers, status] of [
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', origin: 'https://evil.example' }, 403],
    [{ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate', origin: 'http://evil.localhost' }, 403],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', origin: 'null' }, 403],
    [{ 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }, 403],
    [{ accept: 'text/html' }, 403],
    [{ accept: 'text/html', origin: 'null' }, 403],
    [{ 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }, 403],
    [{}, 403],
    [{ 'x-csrf': '1', origin: 'https://evil.example' }, 403]
  ] as const) {
    const cookie = world.browser.jar.header(url) ?? ''
    const answer = await world.bulla.app.inject({ method: 'POST', url, headers: { ...headers, cookie } })
    t.equal(answer.statusCode, status, JSON.stringify(headers))
    t.equal(answer.headers['set-cookie'], undefined)
  }
  for (const method of ['GET', 'HEAD'] as const) {
    const answer = await world.bulla.app.inject({ method, url, headers: { cookie: world.browser.jar.header(url) ?? '' } })
    t.equal(answer.statusCode, 405, method)
    t.match(answer.headers.allow, 'POST')
  }
  t.ok(await isLoggedIn(world))
})

t.test('RPI-09 the app\'s own form is taken also from a page that hides its referrer, whose Origin is null', async (t) => {
  const world = await startWorld(t)
  await world.login()
  const answer = await world.bulla.app.inject({
    method: 'POST',
    url: '/bff/logout',
    headers: {
      cookie: world.browser.jar.header(world.bulla.url) ?? '',
      origin: 'null',
      'sec-fetch-site': 'same-origin',
      'sec-fetch-mode': 'navigate',
      'content-type': 'application/x-www-form-urlencoded'
    },
    payload: 'return_to=https://evil.example'
  })
  t.equal(answer.statusCode, 303)
  t.match(answer.headers.location, world.provider.issuer)
})

t.test('RPI-12 S5 no address that a request names is where a logout leads', async (t) => {
  const world = await startWorld(t)
  for (const target of ['https://evil.example', '//evil.example', '/\\evil.example', '/%09/evil.example', '/\t/evil.example']) {
    await world.login()
    for (const name of ['return_to', 'returnTo', 'redirect', 'post_logout_redirect_uri', 'target_link_uri']) {
      const query = new URLSearchParams({ [name]: target })
      const cookie = world.browser.jar.header(world.bulla.url) ?? ''
      const answer = await world.bulla.app.inject({
        method: 'POST',
        url: `/bff/logout?${query}`,
        headers: { host: 'evil.example', cookie, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' }
      })
      const location = new URL(String(answer.headers.location))
      t.equal(location.origin, world.provider.issuer)
      t.equal(location.searchParams.get('post_logout_redirect_uri'), `${world.bulla.url}/bff/logged-out`)
    }
  }
})

t.test('RPI-11 Clear-Site-Data names cache and storage, as set, and never cookies', async (t) => {
  for (const [setting, header] of [
    [undefined, '"cache", "storage"'], [['storage'], '"storage"'], [['off'], undefined]
  ] as const) {
    const settings = setting === undefined ? {} : { clear_site_data: [...setting] }
    const world = await startWorld(t, { settings })
    await world.login()
    const answer = await world.browser.fetch('/bff/logout', { method: 'POST' })
    t.equal(answer.headers['clear-site-data'], header)
  }
})

t.test('S29 RPI-06 every cookie of ours is deleted with the attributes that it was set with', async (t) => {
  const world = await startWorld(t)
  await world.browser.open(`${world.bulla.url}/`)
  await world.browser.fetch('/bff/login', { redirect: 'manual', headers: { 'sec-fetch-mode': 'navigate' } })
  await world.login()
  const { cookies } = world.bulla.app.sessions
  const planted = [
    ...[0, 1, 7].map((part) => cookies.set('session', part, 'x', 600)),
    ...[0, 1].map((part) => cookies.set('refresh', part, 'x', 600)),
    ...(['idle', 'spent', 'route'] as const).map((kind) => cookies.set(kind, undefined, 'x', 600)),
    cookies.set('login', 'deadbeef', 'x', 600)
  ]
  const url = new URL(`${world.bulla.url}/bff/logout`)
  const whole = world.browser.jar.get('bulla.0') ?? ''
  for (const line of planted) world.browser.jar.setCookie(line, url)
  world.browser.jar.setCookie(cookies.set('session', 0, whole, 600), url)
  const answer = await world.browser.fetch('/bff/logout', { method: 'POST' })
  const deleted = answer.setCookies.filter((line) => /Max-Age=0/.test(line))
  for (const line of deleted) {
    const name = line.slice(0, line.indexOf('='))
    const set = planted.find((other) => other.startsWith(`${name}=`))
    if (set === undefined) continue
    const attributes = (text: string) => text.replace(/^[^;]*/, '').replace(/; (Max-Age|Expires)=[^;]*/g, '')
    t.equal(attributes(line), attributes(set), name)
  }
  for (const line of planted) t.ok(names(deleted).includes(line.slice(0, line.indexOf('='))), line)
  t.strictSame(ours(world), ['bulla-end'])
})

t.test('S29 in production the names carry their prefixes, and deletions are as browsers want them', async (t) => {
  const world = await startWorld(t)
  const { buildServer } = await import('../../src/server.ts')
  const config: Config = { ...world.bulla.config, public_url: 'https://app.example' }
  const server = await buildServer(config, { logger: false })
  t.teardown(async () => { await server.close() })
  await server.app.ready()
  const { cookies } = server.app.sessions
  const cookie = [
    cookies.name('session', 0), cookies.name('refresh', 0), cookies.name('login', 'abc'), cookies.name('idle')
  ].map((name) => `${name}=x`).join('; ')
  const answer = await server.app.inject({ method: 'POST', url: '/bff/logout', headers: { 'x-csrf': '1', cookie } })
  const lines = [answer.headers['set-cookie'] ?? []].flat()
  t.equal(lines.length, 8 + 8 + 2)
  for (const line of lines) {
    t.match(line, /^__(Host-Http|Secure)-bulla/)
    t.match(line, /; Secure/)
    t.match(line, /; HttpOnly/)
    t.match(line, line.startsWith('__Secure-bulla-refresh') ? /; Path=\/bff/ : /; Path=\/(;|$)/)
    t.match(line, /Max-Age=0/)
  }
})

t.test('RPI-10 a hint that makes the URL too long is left out for fetch, and sent by form otherwise', async (t) => {
  const groups = Array.from({ length: 150 }, (_, index) => `group-${index}-${'x'.repeat(20)}`)
  const { demoUsers } = await import('../support/provider.ts')
  const user = { ...demoUsers[0], groups } as typeof demoUsers[number]
  const world = await startWorld(t, { provider: { users: [user] }, settings: { claims: ['name'] } })
  await world.login()
  const copy = world.browser.clone()
  const url = new URL((await world.browser.fetch('/bff/logout', { method: 'POST' })).json().logout_url)
  t.notOk(url.searchParams.has('id_token_hint'))
  t.equal(url.searchParams.get('client_id'), world.provider.clientId)
  t.ok(url.href.length < 1000)

  const page = await copy.submitForm({ action: '/bff/logout' })
  t.equal(page.status, 200)
  t.match(page.headers['content-security-policy'], `form-action ${world.provider.issuer} 'self';`)
  t.match(page.headers['cache-control'], 'no-store')
  t.notMatch(page.text, /<script/i)
  t.ok(page.setCookies.length > 0, 'the session is over already')
  await copy.submitForm()
  t.equal(copy.url?.href, `${world.provider.issuer}/logout`)
  const call = world.provider.log.find(({ endpoint }) => endpoint === 'end_session')
  t.equal(call?.method, 'POST')
  const sent = new URLSearchParams(call?.body)
  t.equal(sent.get('id_token_hint')?.split('.').length, 3)
  t.equal(sent.get('client_id'), world.provider.clientId)
  t.equal(sent.get('post_logout_redirect_uri'), `${world.bulla.url}/bff/logged-out`)
})

t.test('RPI-02/05 without ID token the provider is told by client_id and logout_hint who leaves', async (t) => {
  const world = await startWorld(t)
  await world.login()
  const { sessions } = world.bulla.app
  const { idToken, ...session } = sessionOf(world)
  for (const [changed, hint] of [
    [{ ...session, providerSid: 'their-sid' }, 'their-sid'],
    [{ ...session, providerSid: 'their-sid', claims: { login_hint: 'opaque' } }, 'opaque'],
    [{ ...session, providerSid: undefined, claims: { login_hint: 7 } }, null]
  ] as const) {
    const lines = await sessions.store.write(changed as typeof session, null)
    const cookie = lines.map((line) => line.slice(0, line.indexOf(';'))).filter((pair) => !pair.endsWith('=')).join('; ')
    const answer = await world.bulla.app.inject({ method: 'POST', url: '/bff/logout', headers: { 'x-csrf': '1', cookie } })
    const { searchParams } = new URL(answer.json().logout_url)
    t.equal(searchParams.get('logout_hint'), hint)
    t.equal(searchParams.get('client_id'), world.provider.clientId)
    t.equal(searchParams.get('id_token_hint'), null)
  }
})

t.test('a body that is too large is refused, and any other is not looked at', async (t) => {
  const world = await startWorld(t)
  await world.login()
  const body = 'x'.repeat(20_000)
  t.equal((await world.browser.fetch('/bff/logout', { method: 'POST', body })).status, 413)
  t.ok(await isLoggedIn(world))
  const answer = await world.browser.fetch('/bff/logout', {
    method: 'POST', body: '{"broken', headers: { 'content-type': 'application/json' }
  })
  t.equal(answer.status, 200)
})

t.test('a session whose time is over is logged out at the provider all the same', async (t) => {
  let now = Date.now()
  const world = await startWorld(t, { settings: { session: { max_age: '1h' } }, deps: { clock: () => now } })
  await world.login()
  const cookie = world.browser.jar.header(world.bulla.url) ?? ''
  now += 3_601_000
  const answer = await world.bulla.app.inject({ method: 'POST', url: '/bff/logout', headers: { 'x-csrf': '1', cookie } })
  t.match(answer.json().logout_url, world.provider.issuer)
  t.notOk(names([answer.headers['set-cookie'] ?? []].flat()).includes('bulla-end'), 'it needs no tombstone')
  t.equal((await revoked(world.provider, 2)).length, 2)
})

t.test('FCL-03 front-channel logout is not offered: the frame that it needs gets no Strict or Lax cookies', async (t) => {
  const world = await startWorld(t)
  await world.login()
  const answer = await world.bulla.app.inject({ method: 'GET', url: '/bff/frontchannel-logout?iss=x&sid=y' })
  t.equal(answer.statusCode, 404)
  t.equal(answer.headers['set-cookie'], undefined)
  t.ok(await isLoggedIn(world))
})
