// A logout stays: whatever is under way, in whatever order answers arrive, on every replica.
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { sessionIdOf } from '../../src/oidc/login-state.ts'
import type { Fetch } from '../../src/oidc/http.ts'
import type { Session } from '../../src/session/session.ts'
import { build, freePort, ringKey } from '../support/build.ts'
import { CookieJar } from '../support/cookie-jar.ts'
import { startUpstream } from '../support/upstream.ts'
import { startWorld } from '../support/world.ts'

/** Pseudo-random numbers from a seed: the same order each time. */
function seeded (seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 >>> 0
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) % below
  }
}

const ISSUER = 'http://127.0.0.1:9'

/**
 * A provider at its worst: refresh tokens may be used again and again, and nothing can be revoked. Only what
 * the product itself does ends a session.
 */
const lenientProvider = (): { fetch: Fetch, refreshed: () => number } => {
  let count = 0
  const json = (body: object, status = 200): Response =>
    new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
  return {
    refreshed: () => count,
    fetch: async (url) => {
      const { pathname } = new URL(url)
      if (pathname.endsWith('openid-configuration')) {
        return json({
          issuer: ISSUER,
          authorization_endpoint: `${ISSUER}/authorize`,
          token_endpoint: `${ISSUER}/token`,
          revocation_endpoint: `${ISSUER}/revoke`,
          jwks_uri: `${ISSUER}/jwks`,
          response_types_supported: ['code']
        })
      }
      if (pathname === '/revoke') return json({ error: 'temporarily_unavailable' }, 503)
      count += 1
      // Tokens of very different length: the number of chunks changes from refresh to refresh.
      const padding = Array.from({ length: count % 3 * 2400 }, (_, index) => Math.sin(index * count).toString(36).slice(-1)).join('')
      return json({ access_token: `at-${count}-${padding}`, token_type: 'bearer', expires_in: 300, refresh_token: `rt-${count}` })
    }
  }
}

interface Cluster { replicas: FastifyInstance[], url: string, refreshed: () => number, now: () => number }

/** Three replicas with the same keys behind one address, and an API. */
async function startCluster (t: Test): Promise<Cluster> {
  const upstream = await startUpstream(t)
  const { fetch, refreshed } = lenientProvider()
  const url = `http://localhost:${await freePort()}`
  const settings = {
    public_url: url, issuer: ISSUER, keys: [ringKey()], routes: [{ prefix: '/api', upstream: upstream.url }], admin: { port: 'off' }
  }
  const built = []
  for (let replica = 0; replica < 3; replica++) built.push(await build(t, { settings, deps: { fetch } }))
  const replicas = built.map(({ app }) => app)
  for (const app of replicas) await app.oidc.provider.metadata()
  return { replicas, url, refreshed, now: () => Math.floor(Date.now() / 1000) }
}

let serial = 0

/** A session whose access token is due for a refresh, in a jar of its own. */
async function loggedIn ({ replicas, url, now }: Cluster): Promise<CookieJar> {
  const sid = Buffer.alloc(16)
  sid.writeUInt32BE(++serial)
  const session: Session = {
    sid: sid.toString('base64url'),
    generation: 0,
    subject: 'nanni',
    accessToken: 'at-0',
    accessTokenIssuedAt: now() - 295,
    accessTokenExpiresAt: now() + 5,
    refreshToken: `rt-of-${serial}`,
    claims: {},
    createdAt: now() - 295,
    expiresAt: now() + 36_000
  }
  const jar = new CookieJar()
  const lines = await replicas[0]?.sessions.store.write(session, null) ?? []
  for (const line of lines) jar.setCookie(line, new URL(url))
  return jar
}

type Call = readonly [method: 'GET' | 'POST', path: string]
const CALLS: readonly Call[] = [['GET', '/api/orders'], ['POST', '/bff/refresh'], ['GET', '/bff/session'], ['GET', '/api/more']]
const LOGOUT: Call = ['POST', '/bff/logout']

/** One call: it leaves with the cookies of that moment, is answered later, and arrives later still. */
class InFlight {
  readonly cookie: string
  readonly call: Call
  setCookies: string[] | null = null
  status = 0

  constructor (jar: CookieJar, url: string, call: Call) {
    this.cookie = jar.header(url) ?? ''
    this.call = call
  }

  async answer (app: FastifyInstance): Promise<void> {
    const [method, url] = this.call
    const headers = { 'x-csrf': '1', 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', cookie: this.cookie }
    const { port } = app.server.address() as AddressInfo
    const answer = await request(`http://127.0.0.1:${port}${url}`, { method, headers, dispatcher: agent })
    await answer.body.dump()
    this.status = answer.statusCode
    this.setCookies = [answer.headers['set-cookie'] ?? []].flat()
  }
}

const agent = new Agent({ headersTimeout: 10_000, bodyTimeout: 10_000 })
t.teardown(async () => { await agent.close() })

async function ask (app: FastifyInstance, cookie: string, [method, url]: Call = ['GET', '/bff/session']): Promise<any> {
  const answer = await app.inject({ method, url, headers: { 'x-csrf': '1', cookie } })
  return { status: answer.statusCode, ...answer.json() }
}

async function assertLoggedOut (t: Test, cluster: Cluster, jar: CookieJar, order: string): Promise<void> {
  for (const [index, app] of cluster.replicas.entries()) {
    const cookie = jar.header(cluster.url) ?? ''
    const states = [await ask(app, cookie), await ask(app, cookie, ['GET', '/api/orders']), await ask(app, cookie, ['POST', '/bff/refresh'])]
    const isOut = states[0].authenticated === false && states[1].status === 401 && states[2].status === 401
    if (!isOut) t.fail(`${order}: replica ${index} takes the jar for logged in`, { states: states.map(({ status }) => status) })
  }
}

t.test('I62 I63 I64 SEA-10/11 S24 a logout that races 40 calls stays, in 200 orders, on 3 replicas', async (t) => {
  const cluster = await startCluster(t)
  let arrivedLate = 0
  for (let seed = 1; seed <= 200; seed++) {
    const random = seeded(seed)
    const jar = await loggedIn(cluster)
    const replica = (): FastifyInstance => cluster.replicas[random(3)] as FastifyInstance
    const underWay: InFlight[] = []
    const answered: InFlight[] = []
    const logoutAt = random(41)
    let sent = 0
    let isOut = false
    while (sent < 41 || underWay.length > 0 || answered.length > 0) {
      const step = random(3)
      if (step === 0 && sent < 41) {
        const call = sent === logoutAt ? LOGOUT : CALLS[random(CALLS.length)] as Call
        underWay.push(new InFlight(jar, cluster.url, call))
        sent += 1
      } else if (step === 1 && underWay.length > 0) {
        const [flight] = underWay.splice(random(underWay.length), 1)
        await flight?.answer(replica())
        if (flight !== undefined) answered.push(flight)
      } else if (answered.length > 0) {
        const [flight] = answered.splice(random(answered.length), 1)
        for (const line of flight?.setCookies ?? []) jar.setCookie(line, new URL(cluster.url))
        if (isOut && flight?.setCookies?.some((line) => line.startsWith('bulla.0=ey')) === true) arrivedLate += 1
        if (flight?.call === LOGOUT) isOut = true
        if (isOut && (await ask(replica(), jar.header(cluster.url) ?? '')).authenticated !== false) {
          t.fail(`order ${seed}: logged in on the way`)
        }
      }
    }
    await assertLoggedOut(t, cluster, jar, `order ${seed}`)
  }
  t.ok(arrivedLate > 200, `${arrivedLate} answers with a session arrived after the logout`)
  t.ok(cluster.refreshed() > 1000, `${cluster.refreshed()} refreshes took place`)
})

t.test('the last eight logouts of a browser are remembered: an answer of an older session raises nobody', async (t) => {
  const cluster = await startCluster(t)
  const [first, second, third] = cluster.replicas as [FastifyInstance, FastifyInstance, FastifyInstance]
  const browser = new CookieJar()
  const url = new URL(cluster.url)
  const take = (lines: readonly string[]): void => { for (const line of lines) browser.setCookie(line, url) }
  const late: InFlight[] = []
  for (let round = 0; round < 8; round++) {
    const session = await loggedIn(cluster)
    for (const { name, value } of session.cookies) take([`${name}=${value}; Path=/; HttpOnly; SameSite=Strict`])
    t.ok((await ask(second, browser.header(cluster.url) ?? '')).authenticated, `login ${round + 1} is not hit by older tombstones`)
    const refresh = new InFlight(browser, cluster.url, ['POST', '/bff/refresh'])
    await refresh.answer(third)
    t.equal(refresh.status, 200)
    late.push(refresh)
    const logout = new InFlight(browser, cluster.url, LOGOUT)
    await logout.answer(first)
    take(logout.setCookies ?? [])
  }
  for (const flight of late) {
    take(flight.setCookies ?? [])
    await assertLoggedOut(t, cluster, browser, 'a late answer')
  }
  t.ok((browser.get('bulla-end') ?? '').length < 800, 'the tombstone stays small')
})

t.test('SEA-10/11 S24 I61 a copied jar is dead at once on the replica that saw the logout, and refreshes nowhere', async (t) => {
  const port = await freePort()
  const settings = { keys: [ringKey()], public_url: `http://localhost:${port}` }
  const { bulla, browser, provider, upstream } = await startWorld(t, {
    settings: { ...settings, port },
    provider: {
      redirectUris: [`http://localhost:${port}/bff/callback`], postLogoutRedirectUris: [], accessTokenTtl: 60, audience: null
    }
  })
  const other = await build(t, {
    provider,
    settings: { ...settings, routes: [{ prefix: '/api', upstream: upstream.url }] },
    deps: { clock: () => Date.now() + 61_000 }
  })
  await browser.navigate(`http://localhost:${port}/bff/login`)
  const copy = browser.clone()
  const cookie = copy.jar.header(bulla.url) ?? ''
  const { calls } = provider
  await browser.fetch('/bff/logout', { method: 'POST' })
  while (calls.revocation < 2) await provider.nextCall('revocation')

  const tokenCalls = calls.token
  t.match(await ask(bulla.app, cookie, ['GET', '/api/orders']), { status: 401, code: 'session_revoked' })
  t.match(await ask(bulla.app, cookie, ['POST', '/bff/refresh']), { status: 401, code: 'session_revoked' })
  t.notOk((await ask(bulla.app, cookie)).authenticated)
  t.equal(calls.token, tokenCalls, 'the provider is not asked there')

  const elsewhere = await ask(other.app, cookie, ['POST', '/bff/refresh'])
  t.equal(elsewhere.status, 401, 'once the access token is dead, nothing brings a new one')
  t.strictSame(provider.log.filter(({ endpoint }) => endpoint === 'token').length, tokenCalls + 1)
})

t.test('I70 a refresh that the provider answers after the logout delivers nothing, and its tokens are revoked', async (t) => {
  const { bulla, browser, provider, login } = await startWorld(t, {
    provider: { rotation: { reuseWindow: 60 }, audience: null }
  })
  await login()
  const other = browser.tab()
  let release = (): void => {}
  provider.delay('token', new Promise<void>((resolve) => { release = resolve }))
  const asked = provider.nextCall('token')
  const refresh = other.fetch('/bff/refresh', { method: 'POST' })
  await asked
  provider.fault('revocation', { status: 503 }, { times: 2 })
  await browser.fetch('/bff/logout', { method: 'POST' })
  while (provider.calls.revocation < 2) await provider.nextCall('revocation')
  release()
  const answer = await refresh
  t.equal(answer.status, 401)
  t.equal(answer.json().code, 'session_revoked')
  t.strictSame(answer.setCookies, [])
  while (provider.calls.revocation < 4) await provider.nextCall('revocation')
  t.notOk((await browser.fetch('/bff/session')).json().authenticated)
  t.ok(bulla.app.revocations.counts.values.logouts)
})

t.test('a callback that is answered after the logout logs nobody in, and the login\'s cookie is gone', async (t) => {
  const { bulla, browser, provider, login } = await startWorld(t)
  await login()
  let release = (): void => {}
  provider.delay('token', new Promise<void>((resolve) => { release = resolve }))
  const asked = provider.nextCall('token')
  const other = browser.tab()
  const callback = other.navigate(`${bulla.url}/bff/login`)
  await asked
  const answer = await browser.fetch('/bff/logout', { method: 'POST' })
  t.ok(answer.setCookies.some((line) => /^bulla-login\.[^=]+=;.*Max-Age=0/.test(line)))
  release()
  t.equal((await callback).hops.find(({ url }) => url.pathname === '/bff/callback')?.status, 303)
  t.ok(browser.jar.get('bulla.0'), 'the answer under way did set a session')
  t.notOk((await browser.fetch('/bff/session')).json().authenticated, 'which is over')
  provider.mend()
  await login()
  t.ok((await browser.fetch('/bff/session')).json().authenticated)
})

t.test('a login that is under way at the provider ends with the logout', async (t) => {
  const { bulla, browser, login } = await startWorld(t)
  await login()
  const start = await browser.tab().fetch('/bff/login', { redirect: 'manual', csrf: false, headers: { 'sec-fetch-mode': 'navigate' } })
  t.equal(start.status, 302)
  await browser.fetch('/bff/logout', { method: 'POST' })
  const late = await browser.tab().navigate(start.headers.location ?? '')
  t.equal(late.url.pathname, '/bff/login/continue')
  t.equal(late.status, 400)
  t.notOk((await browser.fetch('/bff/session')).json().authenticated)
  t.ok(bulla)
})

t.test('S24 a tombstone of another deployment, a broken one and a doubled one raise nobody and harm nobody', async (t) => {
  const cluster = await startCluster(t)
  const [app] = cluster.replicas as [FastifyInstance]
  const live = (await loggedIn(cluster)).header(cluster.url) ?? ''
  t.ok((await ask(app, `${live}; bulla-end=x`)).authenticated)
  t.ok((await ask(app, `${live}; bulla-end=`)).authenticated)
  const logout = new InFlight(await loggedIn(cluster), cluster.url, LOGOUT)
  await logout.answer(app)
  const foreign = logout.setCookies?.find((line) => line.startsWith('bulla-end='))?.split(';', 1)[0] ?? ''
  t.ok((await ask(app, `${live}; ${foreign}`)).authenticated, 'it names another session')
  t.notOk((await ask(app, `${live}; bulla-end=x; bulla-end=y`)).authenticated, 'in doubt, nobody is logged in')
  await fc.assert(fc.asyncProperty(fc.string(), async (value) => {
    const { status } = await ask(app, `${live}; bulla-end=${encodeURIComponent(value)}`)
    return status === 200
  }), { numRuns: 50 })
})

t.test('the tombstone lives as long as the session could have, and is as hard to read as a session', async (t) => {
  const cluster = await startCluster(t)
  const [app] = cluster.replicas as [FastifyInstance]
  const logout = new InFlight(await loggedIn(cluster), cluster.url, LOGOUT)
  await logout.answer(app)
  const tombstone = logout.setCookies?.find((line) => line.startsWith('bulla-end=')) ?? ''
  t.match(tombstone, /; HttpOnly/)
  t.match(tombstone, /; SameSite=Strict/)
  const maxAge = Number(/Max-Age=(\d+)/.exec(tombstone)?.[1])
  t.ok(maxAge > 35_900 && maxAge <= 36_000, String(maxAge))
  const header = Buffer.from(tombstone.slice('bulla-end='.length).split('.')[0] ?? '', 'base64url').toString()
  t.match(JSON.parse(header), { alg: 'dir', enc: 'A256GCM', typ: 'bulla-end+1' })
})

t.test('the sid of a login\'s session is as random as its verifier', async (t) => {
  const sids = new Set(Array.from({ length: 100 }, (_, index) => sessionIdOf({ codeVerifier: `verifier ${index}` })))
  t.equal(sids.size, 100)
  for (const sid of sids) t.match(sid, /^[\w-]{22}$/)
})
