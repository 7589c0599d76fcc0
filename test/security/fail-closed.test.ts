// What opens no door: other headers, queries that look like paths, faults of our own; and what pages say.
import t from 'tap'
import { request } from 'undici'
import { BullaError } from '../../src/lib/errors.ts'
import { errorPage } from '../../src/security/page.ts'
import { documentHeadersFor } from '../../src/security/response-policy.ts'
import { sessionValues, stage } from '../support/login.ts'
import { startUpstream } from '../support/upstream.ts'

const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'none', accept: 'text/html' }

t.test('S11 S12 S14 the path of the request decides, and no header or query does', async (t) => {
  const upstream = await startUpstream(t)
  const routes = [{ prefix: '/api', upstream: upstream.url }, { prefix: '/public', upstream: upstream.url, token: 'none' }]
  const { url } = await stage(t, { settings: { routes } })
  const headers: Array<Record<string, string>> = [
    { 'x-forwarded-uri': '/public/x' }, { 'x-original-url': '/public/x' }, { 'x-rewrite-url': '/public/x' },
    { 'x-forwarded-user': 'u1' }, { 'user-agent': 'kube-probe/1.30' }, { 'user-agent': 'GoogleHC/1.0' },
    { authorization: 'Bearer made-up' }, { 'x-http-method-override': 'OPTIONS' }, { referer: `${url}/public/x` }
  ]
  for (const more of headers) {
    const { statusCode, body } = await request(`${url}/api/x`, { headers: { 'x-csrf': '1', ...more } })
    await body.dump()
    t.equal(statusCode, 401, JSON.stringify(more))
  }
  for (const path of ['/api/x?/public/x', '/api/public/x', '/api/x?next=/public/', '/apix?/public']) {
    const { statusCode, body } = await request(url + path, { headers: { 'x-csrf': '1' } })
    await body.dump()
    t.match(String(statusCode), /^40[14]$/, path)
  }
  t.equal(upstream.requests.length, 0)
})

t.test('S40 a fault of our own refuses: no call goes on, no session comes of a login', async (t) => {
  const upstream = await startUpstream(t)
  let isBroken = false
  const revocationList = {
    revoke: () => {},
    isRevoked: () => {
      if (isBroken) throw new Error('the list is broken')
      return false
    }
  }
  const { browser, login, url } = await stage(t, {
    settings: { routes: [{ prefix: '/api', upstream: upstream.url }] }, deps: { revocationList }
  })
  const person = browser()
  await login(person)
  t.equal((await person.fetch('/api/x')).status, 200)
  isBroken = true
  for (const path of ['/api/x', '/bff/session']) {
    const { status, headers, text } = await person.fetch(path)
    t.match([status, headers['bulla-error']], [500, 'internal'], path)
    t.notMatch(text, /the list/)
  }
  t.equal(upstream.requests.length, 1)
  const other = browser()
  t.equal((await login(other)).headers['bulla-error'], 'internal')
  t.equal(sessionValues(other), '')
  isBroken = false
  t.equal((await person.fetch(`${url}/api/x`)).status, 200, 'and costs nobody the session')
})

t.test('S43 the session shows an allow-list, and what operators see is not on the public listener', async (t) => {
  const { browser, login, url } = await stage(t, { settings: { claims: ['name'] } })
  const person = browser()
  await login(person)
  const { json, text } = await person.fetch('/bff/session')
  t.strictSame(Object.keys(json()).sort(), ['access_token_expires_at', 'authenticated', 'claims', 'expires_at',
    'idle_expires_at', 'issued_at', 'logout_url', 'scope', 'sid', 'sub'])
  t.strictSame(json().claims, { name: 'Nanni' })
  t.notMatch(text, /eyJ/, 'no JWT')
  t.equal(json().logout_url, '/bff/logout')
  for (const path of ['/metrics', '/readyz', '/livez', '/bff/metrics', '/bff/readyz']) {
    t.equal((await person.fetch(url + path)).status, 404, path)
  }
})

t.test('CSR-09 another origin can neither read nor frame an answer', async (t) => {
  const { browser, login, provider, url } = await stage(t)
  const person = browser()
  await login(person)
  const { headers } = await person.fetch('/bff/session')
  t.match(headers, { 'cross-origin-resource-policy': 'same-origin', 'x-content-type-options': 'nosniff' })
  t.match(headers['content-type'], /^application\/json/)
  provider.mutate('error:access_denied')
  const page = await login(browser())
  t.match(page.headers, { 'cross-origin-resource-policy': 'same-origin', 'cross-origin-opener-policy': 'same-origin' })
  t.match(page.headers['content-security-policy'], /frame-ancestors 'none'/)
  const answer = await request(`${url}/bff/nothing`, { headers: navigation })
  await answer.body.dump()
  t.match(answer.headers['content-security-policy'], /frame-ancestors 'none'/)
})

t.test('COK-05 cookies may come in several header lines', async (t) => {
  const { browser, login, url } = await stage(t)
  const person = browser()
  await login(person)
  const lines = ['cookie', 'other=1', 'cookie', sessionValues(person), 'cookie', 'last=1']
  const { body } = await request(`${url}/bff/session`, { headers: ['x-csrf', '1', ...lines] })
  t.match(await body.json(), { authenticated: true })
})

t.test('after a cancelled login the page leads back to the app, too; both addresses are local', async (t) => {
  const { browser, login, provider } = await stage(t, { settings: { default_return_to: '/home' } })
  provider.mutate('error:access_denied')
  const answer = await login(browser(), '?return_to=%2Forders')
  t.match([answer.status, answer.headers['bulla-error']], [403, 'login_denied'])
  t.match(answer.text, '<a href="/bff/login?return_to=%2Forders">Try again</a>')
  t.match(answer.text, '<a class="back" href="/home">Back to the app</a>')
  const error = new BullaError('login_denied', { backUrl: '/"><script>' })
  t.notMatch(errorPage(error, { href: '/', label: '<b>' }, 'id'), /<script|<b>/)
})

t.test('documents may frame a silent login and post a logout, at the authorization server and nowhere else', async (t) => {
  const before = documentHeadersFor({ issuer: 'https://id.example/realm', known: null })['content-security-policy']
  t.match(before, "frame-src 'self' https://id.example; form-action 'self' https://id.example; frame-ancestors 'none'")
  const known = {
    authorization_endpoint: 'https://login.example/authorize', end_session_endpoint: 'https://id.example:8443/end?x=1'
  }
  const after = documentHeadersFor({ issuer: 'https://id.example', known })['content-security-policy']
  t.match(after, "frame-src 'self' https://id.example https://login.example; ")
  t.match(after, "form-action 'self' https://id.example https://id.example:8443; ")
  t.match(after, /^default-src 'self'; .*object-src 'none'; base-uri 'none'; /)
})
