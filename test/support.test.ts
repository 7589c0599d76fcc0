// Holds the test support to its word: a jar that is too lenient would let every cookie test pass.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { Browser, CookieJar } from './support/browser-jar.ts'
import { formsOf, refreshOf } from './support/html.ts'
import { demoUsers, startProvider } from './support/provider.ts'
import { relation, secFetchSite } from './support/site.ts'
import { startUpstream, type UpstreamHandler } from './support/upstream.ts'

const app = new URL('https://app.example/')
const strictWith = (site: { sameSite: boolean, navigation: boolean, safe: boolean }) => {
  const jar = new CookieJar()
  for (const kind of ['Strict', 'Lax', 'None']) jar.setCookie(`${kind}=1; Secure; SameSite=${kind}`, app)
  jar.setCookie('Default=1; Secure', app)
  return jar.matching(app, site).map(({ name }) => name).sort()
}

t.test('cookies go to their host, path and scheme only', async (t) => {
  const jar = new CookieJar()
  jar.setCookie('host=1; Path=/bff; Secure', app)
  jar.setCookie('domain=1; Domain=app.example', app)
  t.equal(jar.header('https://app.example/bff/session'), 'host=1; domain=1', 'the longer path first')
  t.equal(jar.header('https://app.example/bffx'), 'domain=1')
  t.equal(jar.header('https://sub.app.example/bff'), 'domain=1')
  t.equal(jar.header('https://evilapp.example/bff'), undefined)
  t.equal(jar.header('http://app.example/bff'), 'domain=1')
})

t.test('a path that is not stated is the folder of the page', async (t) => {
  const jar = new CookieJar()
  jar.setCookie('a=1', new URL('https://app.example/bff/login'))
  t.equal(jar.cookies[0]?.path, '/bff')
})

t.test('SameSite decides by site, navigation and method', async (t) => {
  const all = ['Default', 'Lax', 'None', 'Strict']
  t.strictSame(strictWith({ sameSite: true, navigation: false, safe: false }), all)
  t.strictSame(strictWith({ sameSite: false, navigation: true, safe: true }), ['Default', 'Lax', 'None'])
  t.strictSame(strictWith({ sameSite: false, navigation: true, safe: false }), ['None'])
  t.strictSame(strictWith({ sameSite: false, navigation: false, safe: true }), ['None'])
})

t.test('SameSite cookies of another site are set by a navigation only', async (t) => {
  const jar = new CookieJar()
  const line = 'a=1; Secure; SameSite=Strict'
  const request = { sameSite: false, navigation: false, safe: true }
  t.equal(jar.setCookie(line, app, request), 'SameSite from another site')
  t.equal(jar.setCookie(line, app, { ...request, navigation: true }), 'stored')
})

t.test('what browsers drop without a word is dropped', async (t) => {
  const lines = {
    [`a=${'x'.repeat(4096)}`]: 'larger than 4096 bytes',
    'a=1; Domain=example.org': 'foreign domain',
    'a=1; Domain=example': 'foreign domain',
    'a=1; SameSite=None': 'SameSite=None without Secure',
    '__Host-a=1; Path=/': 'prefix without Secure',
    '__Host-a=1; Secure; Path=/bff': '__Host- with Domain or without Path=/',
    '__Host-a=1; Secure': '__Host- with Domain or without Path=/',
    '__Host-a=1; Secure; Path=/; Domain=app.example': '__Host- with Domain or without Path=/',
    '__secure-a=1': 'prefix without Secure',
    '__Http-a=1; Secure': 'prefix without HttpOnly',
    '__Host-Http-a=1; Secure; Path=/': 'prefix without HttpOnly',
    '__Host-Http-a=1; Secure; HttpOnly; Path=/b': '__Host- with Domain or without Path=/',
    '=__Host-a; Secure; Path=/': 'nameless with a prefix',
    'a=\u0007': 'control character',
    '': 'empty'
  }
  const jar = new CookieJar()
  for (const [line, reason] of Object.entries(lines)) {
    t.equal(jar.setCookie(line, app), reason, line.slice(0, 60))
  }
  t.equal(jar.setCookie(`a=${'x'.repeat(4095)}`, app), 'stored', '4096 bytes of name and value fit')
  t.equal(jar.setCookie('__Host-Http-a=1; Secure; HttpOnly; Path=/; SameSite=Strict', app), 'stored')
})

t.test('an attribute of more than 1024 bytes does not count', async (t) => {
  const jar = new CookieJar()
  jar.setCookie(`a=1; Path=/${'x'.repeat(1024)}`, app)
  t.equal(jar.cookies[0]?.path, '/')
})

t.test('Secure is taken over http from localhost alone', async (t) => {
  const jar = new CookieJar()
  t.equal(jar.setCookie('a=1; Secure', new URL('http://app.example/')), 'Secure over plain http')
  t.equal(jar.setCookie('a=1; Secure', new URL('http://localhost:3000/')), 'stored')
  t.equal(jar.header('http://localhost:4000/'), 'a=1', 'ports are not kept apart')
  jar.setCookie('b=1; Secure', app)
  t.equal(jar.setCookie('b=2', new URL('http://app.example/')), 'would overlay a Secure cookie')
})

t.test('cookies live as long as Max-Age says, else Expires, at most 400 days', async (t) => {
  let now = Date.UTC(2026, 0, 1)
  const jar = new CookieJar(() => now)
  jar.setCookie('a=1; Max-Age=60; Expires=Fri, 01 Jan 2100 00:00:00 GMT', app)
  jar.setCookie('b=1; Max-Age=999999999', app)
  jar.setCookie('c=1; Expires=Thu, 01 Jan 2026 00:00:30 GMT', app)
  jar.setCookie('d=1', app)
  t.equal(jar.header(app), 'a=1; b=1; c=1; d=1')
  now += 30_000
  t.equal(jar.header(app), 'a=1; b=1; d=1')
  now += 30_000
  t.equal(jar.header(app), 'b=1; d=1')
  now += 400 * 86_400_000
  t.equal(jar.header(app), 'd=1')
})

t.test('only the same name, domain and path deletes a cookie', async (t) => {
  const jar = new CookieJar()
  jar.setCookie('a=1; Path=/', app)
  t.equal(jar.setCookie('a=; Path=/bff; Max-Age=0', app), 'deleted')
  t.equal(jar.get('a'), '1')
  jar.setCookie('a=; Path=/; Max-Age=0', app)
  t.equal(jar.get('a'), undefined)
})

t.test('a host keeps 180 cookies, and the oldest goes first', async (t) => {
  const jar = new CookieJar()
  for (let i = 0; i <= 180; i++) jar.setCookie(`c${i}=1`, app)
  t.equal(jar.cookies.length, 180)
  t.equal(jar.get('c0'), undefined)
})

t.test('a clone goes its own way; cookies can be planted and cleared', async (t) => {
  const jar = new CookieJar()
  jar.setCookie('a=1', app)
  const copy = jar.clone()
  jar.clear()
  copy.plant({ name: '__Host-b', value: '2', domain: 'app.example' })
  t.equal(jar.header(app), undefined)
  t.equal(copy.header(app), 'a=1; __Host-b=2')
})

t.test('localhost and 127.0.0.1 are two sites, ports are one, schemes are two', async (t) => {
  const from = new URL('http://localhost:3000')
  t.equal(relation(from, new URL('http://localhost:3000/x')), 'same-origin')
  t.equal(relation(from, new URL('http://localhost:3001/x')), 'same-site')
  t.equal(relation(from, new URL('http://127.0.0.1:3000/x')), 'cross-site')
  t.equal(relation(app, new URL('http://app.example/')), 'cross-site')
  t.equal(relation(app, new URL('https://api.app.example/')), 'same-site')
})

t.test('Sec-Fetch-Site names the worst step of a chain, and none for what a person typed', async (t) => {
  const other = new URL('https://as.test/')
  t.equal(secFetchSite(app, [app, other, app]), 'cross-site')
  t.equal(secFetchSite(app, [app, new URL('https://sub.app.example/')]), 'same-site')
  t.equal(secFetchSite(null, [app, other, app]), 'none')
})

t.test('forms and refreshes are read with their entities', async (t) => {
  const [form] = formsOf(`<form action="/a?x=1&amp;y=2" method=post><input type="hidden" name='n' value="&#34;&lt;">
    <input type=submit name=no><button name="b" value="v"><b>Press</b> me</button></form>`)
  t.strictSame(form, {
    method: 'POST', action: '/a?x=1&y=2', fields: { n: '"<' }, buttons: [{ name: 'b', value: 'v', text: 'Press me' }]
  })
  t.equal(refreshOf('<meta charset=utf-8><meta http-equiv="Refresh" content="0; url=/next?a=1&amp;b">'), '/next?a=1&b')
  t.equal(refreshOf('<p>none</p>'), undefined)
})

/** An app on localhost that sends the browser to another site and back. */
async function twoSites (t: Test) {
  const as = await startUpstream(t)
  const handler: UpstreamHandler = (request, response) => {
    const html = { 'content-type': 'text/html' }
    const answers: Record<string, () => void> = {
      '/': () => response.writeHead(200, { ...html, 'set-cookie': ['s=1; SameSite=Strict', 'l=1; SameSite=Lax'] }).end(),
      '/login': () => response.writeHead(302, { location: `${as.url}/authorize` }).end(),
      '/callback': () => response.writeHead(303, { location: '/home' }).end(),
      '/bounce': () => response.writeHead(200, html).end('<meta http-equiv="refresh" content="0;url=/home">'),
      '/loop': () => response.writeHead(302, { location: '/loop' }).end()
    }
    const answer = answers[request.url ?? ''] ?? (() => response.writeHead(200, html).end('<form action="/x"></form>'))
    answer()
  }
  const site = await startUpstream(t, handler)
  const url = `http://localhost:${site.port}`
  as.handler = (request, response) => {
    if (request.url === '/authorize') return response.writeHead(302, { location: `${url}/callback` }).end()
    return response.writeHead(200, { 'content-type': 'text/html' })
      .end(`<script>document.forms[0].submit()</script><form method="post" action="${url}/callback"><input name="code" value="c"></form>`)
  }
  const cookie = (path: string) => site.requests.findLast((request) => request.url === path)?.headers.cookie
  return { as, site, url, cookie }
}

function open (t: Test, options: ConstructorParameters<typeof Browser>[0] = {}): Browser {
  const browser = new Browser(options)
  t.teardown(() => browser.close())
  return browser
}

t.test('a way through another site loses Strict cookies, as the specification says', async (t) => {
  const { url, cookie, site } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  const page = await browser.navigate('/login')
  t.strictSame(page.hops.map((hop) => hop.url.pathname), ['/login', '/authorize', '/callback', '/home'])
  t.equal(cookie('/login'), 's=1; l=1')
  t.equal(cookie('/callback'), 'l=1')
  t.equal(cookie('/home'), 'l=1')
  t.match(site.requests.at(-1)?.headers, {
    'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-user': '?1'
  })
  await browser.fetch('/data')
  t.equal(cookie('/data'), 's=1; l=1', 'the page that it ends on is the app again')
})

t.test('Chromium does not look at the redirects in between', async (t) => {
  const { url, cookie } = await twoSites(t)
  const browser = open(t, { redirectsCount: false })
  await browser.open(`${url}/`)
  await browser.navigate('/login')
  t.equal(cookie('/callback'), 's=1; l=1')
})

t.test('a form that another site sends itself carries neither Strict nor Lax cookies', async (t) => {
  const { url, as, cookie, site } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  await browser.open(`${as.url}/form`)
  const page = await browser.submitAutoForm()
  t.equal(page.hops[0]?.method, 'POST')
  t.equal(cookie('/callback'), undefined)
  const callback = site.requests.find((request) => request.url === '/callback')
  t.equal(String(callback?.body), 'code=c')
  t.match(callback?.headers, { origin: as.url, 'sec-fetch-site': 'cross-site' })
  t.notOk(callback?.headers['sec-fetch-user'])
  t.equal(page.hops[1]?.method, 'GET', '303 becomes a GET')
})

t.test('a refresh of the own page brings Strict cookies back', async (t) => {
  const { url, as, cookie } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  await browser.open(`${as.url}/elsewhere`)
  const page = await browser.navigate(`${url}/bounce`)
  t.equal(cookie('/bounce'), 'l=1')
  t.equal(cookie('/home'), 's=1; l=1')
  t.equal(page.url.pathname, '/home')
})

t.test('what a person types counts as same-site', async (t) => {
  const { url, cookie, site } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  browser.url = new URL('http://evil.test/')
  await browser.open(`${url}/typed`)
  t.equal(cookie('/typed'), 's=1; l=1')
  t.equal(site.requests.at(-1)?.headers['sec-fetch-site'], 'none')
  browser.url = new URL('http://evil.test/')
  await browser.submitForm({ action: `${url}/forged`, fields: { a: 'b' } })
  t.equal(cookie('/forged'), undefined)
  t.match(site.requests.at(-1)?.headers, { origin: 'http://evil.test', 'sec-fetch-site': 'cross-site' })
})

t.test('a script fetches with the CSRF header, and with Origin where browsers send it', async (t) => {
  const { url, site } = await twoSites(t)
  const browser = open(t)
  await t.rejects(browser.fetch('/x'), /needs a page/)
  await browser.open(`${url}/`)
  await browser.fetch('/get')
  t.match(site.requests.at(-1)?.headers, { 'x-csrf': '1', 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' })
  t.notOk(site.requests.at(-1)?.headers.origin)
  await browser.fetch('/post', { method: 'POST', body: { a: 1 }, csrf: false })
  t.match(site.requests.at(-1), { body: Buffer.from('{"a":1}'), headers: { origin: url, 'content-type': 'application/json' } })
  t.notOk(site.requests.at(-1)?.headers['x-csrf'])
  browser.url = new URL('http://evil.test/')
  await browser.fetch(`${url}/steal`)
  t.notOk(site.requests.at(-1)?.headers.cookie)
  await browser.fetch(`${url}/steal`, { credentials: 'include', mode: 'no-cors' })
  t.match(site.requests.at(-1)?.headers, { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })
  t.notOk(site.requests.at(-1)?.headers.cookie, 'SameSite keeps them back')
})

t.test('a page with no-referrer sends its forms with Origin: null', async (t) => {
  const { url, site } = await twoSites(t)
  const browser = open(t)
  site.handler = (_request, response) => response.writeHead(200, { 'referrer-policy': 'no-referrer' }).end('<form action="/x" method="post"></form>')
  await browser.open(`${url}/`)
  await browser.submitForm()
  t.equal(site.requests.at(-1)?.headers.origin, 'null')
  t.notOk(site.requests.at(-1)?.headers.referer)
})

t.test('endless redirects end with an error', async (t) => {
  const { url } = await twoSites(t)
  await t.rejects(open(t).open(`${url}/loop`), /more than 20 redirects: \/loop → \/loop/)
})

t.test('tabs share cookies and clones do not; an origin can be somewhere else than it says', async (t) => {
  const { site } = await twoSites(t)
  const browser = open(t, { routes: { 'https://app.example': site.url }, headers: { 'x-forwarded-proto': 'https' } })
  await browser.open('https://app.example/')
  t.match(site.requests.at(-1)?.headers, { host: 'app.example', 'x-forwarded-proto': 'https' })
  const [copy, tab] = [browser.clone(), browser.tab()]
  browser.jar.clear()
  t.equal(tab.jar.cookies.length, 0)
  t.equal(copy.jar.cookies.length, 2)
  t.equal(copy.url?.href, 'https://app.example/')
})

t.test('streams are handed out as they come, and the upstream sees who leaves', async (t) => {
  const { url, site } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  site.handler = (_request, response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
  const abort = new AbortController()
  const stream = await browser.stream('/events', { signal: abort.signal })
  const [chunk] = await once(stream.body, 'data')
  t.equal(String(chunk), 'data: 1\n\n')
  stream.body.once('error', () => {})
  abort.abort()
  const recorded = site.requests.at(-1)
  await recorded?.closed
  t.equal(recorded?.aborted, true)
  t.equal(recorded?.headers.accept, 'text/event-stream')
})

t.test('WebSockets carry cookies and Origin, and the upstream echoes', async (t) => {
  const { url, site } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  const socket = browser.socket('/live', ['v1'])
  await new Promise((resolve) => socket.once('open', resolve))
  socket.send('hello')
  t.equal(String(await new Promise((resolve) => socket.once('message', resolve))), 'hello')
  t.match(site.handshakes[0], { url: '/live', headers: { cookie: 's=1; l=1', origin: url } })
  t.equal(socket.protocol, 'v1')
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.close()
  await closed
  site.refuseSocketsWith = 401
  const refused = browser.socket('/live')
  t.match(await new Promise((resolve) => refused.once('error', resolve)), { message: /401/ })
})

t.test('the provider logs in, answers tokens of a realistic size and counts its calls', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'] })
  const { tokens, browser } = await logIn(t, provider, { login_hint: 'ea-nasir' })
  t.match(tokens, { token_type: 'Bearer', expires_in: 120, refresh_token: String, id_token: String })
  const { access_token: accessToken = '', id_token: idToken = '' } = tokens
  t.ok(accessToken.length > 1200 && accessToken.length < 1600, `${accessToken.length} bytes`)
  t.match(claimsOf(accessToken), {
    iss: provider.issuer, aud: 'urn:bulla-demo:orders', sub: demoUsers[1]?.sub, realm_access: { roles: ['offline_access'] }
  })
  t.match(claimsOf(idToken), { name: demoUsers[1]?.name, roles: ['merchant', 'orders-admin'], sid: String })
  t.match(provider.calls, { authorization: 2, interaction: 1, token: 1, par: 0 })
  t.match(provider.log.at(-1), { endpoint: 'token', method: 'POST', body: /grant_type=authorization_code/ })
  t.equal(browser.page?.url.searchParams.get('iss'), provider.issuer)
})

t.test('strict rotation ends the family of a token that is used twice, however close together', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'] })
  const { tokens } = await logIn(t, provider)
  const both = await Promise.all([1, 2].map(() => refresh(provider, tokens.refresh_token)))
  t.strictSame(both.map(({ status }) => status).sort(), [200, 400])
  const winner = both.find(({ status }) => status === 200)
  t.match(await refresh(provider, winner?.body.refresh_token), { status: 400, body: { error: 'invalid_grant' } })
})

t.test('a reuse window answers a spent token with new ones', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'], rotation: { reuseWindow: 30 } })
  const { tokens } = await logIn(t, provider)
  const first = await refresh(provider, tokens.refresh_token)
  const second = await refresh(provider, tokens.refresh_token)
  t.match([first.status, second.status], [200, 200])
  t.not(first.body.refresh_token, second.body.refresh_token)
  t.equal((await refresh(provider, first.body.refresh_token)).status, 200)
})

t.test('without rotation the refresh token stays, until an administrator ends the session', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'], rotation: 'none' })
  const { tokens } = await logIn(t, provider)
  t.equal((await refresh(provider, tokens.refresh_token)).body.refresh_token, tokens.refresh_token)
  provider.revokeSubject(demoUsers[0]?.sub ?? '')
  t.match(await refresh(provider, tokens.refresh_token), { status: 400, body: { error: 'invalid_grant' } })
})

t.test('endpoints break as told, and mend', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'] })
  const { tokens } = await logIn(t, provider)
  provider.fault('token', { status: 503, headers: { 'retry-after': '7' } }, { times: 1 })
  t.equal((await refresh(provider, tokens.refresh_token)).status, 503)
  provider.fault('token', { reset: true }, { times: 1 })
  await t.rejects(refresh(provider, tokens.refresh_token))
  provider.fault('token', { hang: true })
  const hanging = refresh(provider, tokens.refresh_token, AbortSignal.timeout(50))
  t.match(await provider.nextCall('token'), { endpoint: 'token' })
  await t.rejects(hanging)
  provider.mend('token')
  provider.fault('token', { loseAnswer: true }, { times: 1 })
  await t.rejects(refresh(provider, tokens.refresh_token))
  t.match(await refresh(provider, tokens.refresh_token), { status: 400 }, 'the lost answer had spent it')
  let release = () => {}
  provider.delay('jwks', new Promise<void>((resolve) => { release = resolve }))
  const delayed = fetch(`${provider.issuer}/jwks`)
  await provider.nextCall('jwks')
  release()
  t.equal((await delayed).status, 200)
})

t.test('the provider can be away for a while, and refuse a login', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'] })
  await provider.stop()
  await t.rejects(fetch(`${provider.issuer}/jwks`))
  await provider.start()
  t.equal((await fetch(`${provider.issuer}/jwks`)).status, 200)
  provider.behaviour.refuseWith = 'access_denied'
  const browser = open(t, { routes: { 'http://localhost:9': provider.issuer } })
  await browser.open(authorizationUrl(provider).href)
  t.equal(browser.page?.url.searchParams.get('error'), 'access_denied')
})

t.test('people choose who they are, and are asked before they are logged out', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'], interactive: true })
  const browser = open(t, { routes: { 'http://localhost:9': provider.issuer } })
  await browser.open(authorizationUrl(provider).href)
  t.match(formsOf(browser.page?.text ?? '')[0]?.buttons.map(({ value }) => value), ['nanni', 'ea-nasir'])
  await browser.submitForm({ fields: { user: 'nanni' } })
  t.ok(browser.page?.url.searchParams.get('code'))
  await browser.open(`${provider.issuer}/logout`)
  await browser.submitForm({ fields: { logout: 'yes' } })
  t.match(browser.page?.text, /You are logged out/)
  await browser.open(authorizationUrl(provider).href)
  await browser.submitForm({ form: '/abort' })
  t.equal(browser.page?.url.searchParams.get('error'), 'access_denied')
  await browser.open(`${provider.issuer}/interaction/unknown`)
  t.match(browser.page, { status: 400, text: /This login is over/ })
})

type Provider = Awaited<ReturnType<typeof startProvider>>
const verifier = 'v'.repeat(43)

function authorizationUrl (provider: Provider, extra: Record<string, string> = {}): URL {
  const url = new URL(`${provider.issuer}/authorize`)
  url.search = new URLSearchParams({
    client_id: provider.clientId,
    redirect_uri: 'http://localhost:9/cb',
    response_type: 'code',
    scope: 'openid profile email offline_access orders:read',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...extra
  }).toString()
  return url
}

async function tokenRequest (provider: Provider, form: Record<string, string>, signal?: AbortSignal) {
  const credentials = Buffer.from(`${provider.clientId}:${provider.clientSecret}`).toString('base64')
  const response = await fetch(`${provider.issuer}/token`, {
    method: 'POST', body: new URLSearchParams(form), headers: { authorization: `Basic ${credentials}` }, signal: signal ?? null
  })
  return { status: response.status, body: await response.json() as Record<string, string> }
}

async function refresh (provider: Provider, token: string | undefined, signal?: AbortSignal) {
  return await tokenRequest(provider, { grant_type: 'refresh_token', refresh_token: token ?? '' }, signal)
}

async function logIn (t: Test, provider: Provider, extra: Record<string, string> = {}) {
  const browser = open(t, { routes: { 'http://localhost:9': provider.issuer } })
  await browser.open(authorizationUrl(provider, extra).href)
  const code = browser.page?.url.searchParams.get('code') ?? ''
  const { body } = await tokenRequest(provider, {
    grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: 'http://localhost:9/cb'
  })
  return { tokens: body, browser }
}

function claimsOf (jwt: string) {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString())
}
