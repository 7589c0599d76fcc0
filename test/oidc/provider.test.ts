// The provider's metadata and keys: compared exactly, fetched within limits, kept when it is away.
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createProviderHttp } from '../../src/oidc/http.ts'
import { createProvider } from '../../src/oidc/provider.ts'
import { BAD_METADATA } from '../support/mutations.ts'
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts'
import { stage, whoIs } from '../support/login.ts'
import { build, freePort } from '../support/build.ts'
import { startUpstream } from '../support/upstream.ts'

const CODES: Record<string, string> = {
  'discovery-issuer-mismatch': 'oidcc-client-test-discovery-issuer-mismatch DIS-01',
  'discovery-issuer-slash': 'DIS-01',
  'discovery-issuer-case': 'DIS-01',
  'discovery-http-token-endpoint': 'DIS-02'
}

for (const name of Object.keys(BAD_METADATA)) {
  t.test(`${CODES[name] ?? 'DIS-02'} ${name}: no login starts`, async (t) => {
    const { provider, browser, login } = await stage(t, { mutations: [name] })
    const answer = await login(browser())
    t.match([answer.status, answer.headers['bulla-error']], [502, 'idp_misconfigured'])
    t.strictSame(answer.setCookies, [])
    t.equal(provider.count('authorize'), 0)
    t.match(answer.text, />Try again</)
  })
}

t.test('oidcc-client-test-discovery-openid-config oidcc-client-test-discovery-jwks-uri-keys the metadata decides where things are', async (t) => {
  const { provider, browser, login, url } = await stage(t, { mutations: [] })
  const person = browser()
  await login(person)
  t.match(await whoIs(person, url), { authenticated: true })
  t.strictSame([provider.count('.well-known/openid-configuration'), provider.count('jwks')], [1, 1])
})

t.test('DIS-06 a provider that is away at the start: the server starts, says so, and recovers by itself', async (t) => {
  const { provider, browser, app, url, adminUrl } = await (async () => {
    const away = await stage(t)
    await away.provider.stop()
    const late = await build(t, { provider: away.provider })
    return { ...away, ...late }
  })()
  const readiness = await fetch(`${adminUrl}/readyz`)
  t.equal(readiness.status, 503)
  t.match(await readiness.json(), { issuer: { status: 'unavailable' } })
  const refused = await browser().open(`${url}/bff/login?return_to=%2Forders`)
  t.match([refused.status, refused.headers['bulla-error']], [503, 'idp_unavailable'])
  t.match(refused.headers['retry-after'], /^\d+$/)
  t.match(refused.text, /login\?return_to=%2Forders/)
  await provider.start()
  const found = provider.count('.well-known/openid-configuration')
  await provider.reaches('.well-known/openid-configuration', found + 1)
  await app.oidc.provider.metadata()
  t.equal((await fetch(`${adminUrl}/readyz`)).status, 200)
  const person = browser()
  await person.open(`${url}/bff/login`)
  t.match(await whoIs(person, url), { authenticated: true })
})

t.test('DIS-06 a provider that goes away later: sessions go on, logins wait', async (t) => {
  const upstream = await startUpstream(t)
  const { provider, browser, login, url } = await stage(t, { settings: { routes: [{ prefix: '/api', upstream: upstream.url }] } })
  const person = browser()
  await login(person)
  await provider.stop()
  t.equal((await person.tab().fetch(`${url}/api/x`)).status, 200)
  await provider.start()
  const other = browser()
  await login(other)
  t.match(await whoIs(other, url), { authenticated: true })
})

t.test('DIS-06 metadata and keys that are due for renewal are renewed, and the last good ones serve on', async (t) => {
  let now = 0
  let isAway = false
  const provider = await startMisbehavingProvider(t)
  const http = createProviderHttp()
  t.teardown(http.close)
  const fetch: typeof http.fetch = async (url, init) => {
    if (isAway) throw new TypeError('fetch failed')
    return await http.fetch(url, init)
  }
  const known = createProvider({ issuer: provider.issuer, fetch, now: () => now })
  const before = await known.metadata()
  const keys = await known.keys()
  const fetched = () => provider.count('.well-known/openid-configuration')
  const count = fetched()
  now += 700_000
  isAway = true
  t.equal(await known.metadata(), before)
  await setImmediate()
  t.equal(await known.metadata(), before, 'also after the attempt failed')
  isAway = false
  now += 2_000
  await known.metadata()
  await provider.reaches('.well-known/openid-configuration', count + 1)
  await t.rejects(async () => await keys({ alg: 'RS256', kid: 'none-such' }, { payload: '', signature: '' }))
  t.equal(provider.count('jwks'), 2, 'one fetch, and one for the unknown kid')
  now += 700_000
  isAway = true
  const jwk = await keys({ alg: 'RS256', kid: 'main' }, { payload: '', signature: '' })
  t.ok(jwk, 'the last good keys')
})

/** A server that answers discovery as told. */
async function documents (t: Test, serve: (response: ServerResponse, path: string) => void): Promise<string> {
  const server = createServer((request, response) => { serve(response, request.url ?? '') })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function limited (t: Test): ReturnType<typeof createProviderHttp>['fetch'] {
  const { fetch, close } = createProviderHttp({ timeout: 300, maxResponseSize: 4096 })
  t.teardown(close)
  return fetch
}

const json = { 'content-type': 'application/json' }

t.test('DIS-07 documents that are too large, drip, hang or break off end in bounded time', async (t) => {
  const ways: Record<string, (response: ServerResponse) => void> = {
    large: (response) => { response.writeHead(200, json).end(`{"x":"${'x'.repeat(100_000)}"}`) },
    dripping: (response) => {
      response.writeHead(200, json)
      const timer = setInterval(() => { response.write(' ') }, 20)
      response.on('close', () => { clearInterval(timer) })
    },
    hanging: () => {},
    'broken off': (response) => { response.writeHead(200, { ...json, 'content-length': '100' }).write('{'); response.destroy() },
    failing: (response) => { response.writeHead(500).end() }
  }
  for (const [name, serve] of Object.entries(ways)) {
    const issuer = await documents(t, serve)
    await t.rejects(createProvider({ issuer, fetch: limited(t) }).metadata(), { code: 'idp_unavailable' }, name)
  }
})

t.test('AUT-25 a redirect of the metadata or the keys is not followed', async (t) => {
  let stolen = 0
  let issuer = ''
  issuer = await documents(t, (response, path) => {
    if (path === '/elsewhere') {
      stolen += 1
      response.writeHead(200, json).end('{"keys":[]}')
    } else if (path === '/jwks' || issuer.length === 0) {
      response.writeHead(302, { location: '/elsewhere' }).end()
    } else {
      const endpoints = Object.fromEntries(['authorization', 'token'].map((name) => [`${name}_endpoint`, `${issuer}/${name}`]))
      response.writeHead(200, json).end(JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks`, ...endpoints }))
    }
  })
  const provider = createProvider({ issuer, fetch: limited(t) })
  const keys = await provider.keys()
  await t.rejects(async () => await keys({ alg: 'RS256', kid: 'a' }, { payload: '', signature: '' }), { code: 'idp_unavailable' })
  const redirected = await documents(t, (response, path) => {
    if (path === '/elsewhere') stolen += 1
    response.writeHead(302, { location: '/elsewhere' }).end()
  })
  await t.rejects(createProvider({ issuer: redirected, fetch: limited(t) }).metadata(), { code: 'idp_misconfigured' })
  t.equal(stolen, 0)
})

t.test('a failure stands for a second, then the provider is asked again', async (t) => {
  let now = 0
  let asked = 0
  const provider = createProvider({
    issuer: `http://127.0.0.1:${await freePort()}`,
    now: () => now,
    fetch: async () => { asked += 1; throw new TypeError('fetch failed') }
  })
  await t.rejects(provider.metadata(), { code: 'idp_unavailable' })
  await t.rejects(provider.metadata(), { code: 'idp_unavailable' })
  t.equal(asked, 1)
  now += 1_000
  await Promise.all([1, 2, 3].map(async () => { await t.rejects(provider.metadata()) }))
  t.equal(asked, 2, 'and once for all who wait')
})
