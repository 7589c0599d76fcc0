// What reaches the upstream of a call, and what reaches the browser of its answer.
import t from 'tap'
import { build, type Built } from '../support/build.ts'
import { openRaw } from '../support/raw.ts'
import { sessionCookie } from '../support/session-cookie.ts'
import { echo, startUpstream, type RecordedRequest, type Upstream } from '../support/upstream.ts'
import type { Teardown } from '../support/provider.ts'

interface World { upstream: Upstream, built: Built, cookie: string, port: number }

async function start (t: Teardown, route: object = {}, settings: object = {}): Promise<World> {
  const upstream = await startUpstream(t)
  const built = await build(t, { settings: { routes: [{ prefix: '/api', upstream: upstream.url, ...route }], ...settings } })
  return { upstream, built, cookie: await sessionCookie(built), port: Number(new URL(built.url).port) }
}

async function call (world: World, path: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(world.built.url + path, {
    redirect: 'manual', ...init, headers: { cookie: world.cookie, 'x-csrf': '1', ...init.headers as Record<string, string> }
  })
}

function last (upstream: Upstream): RecordedRequest {
  return upstream.requests.at(-1) as RecordedRequest
}

t.test('CAC-05 conditions and 304 pass between one browser and the API; Bulla itself keeps nothing', async (t) => {
  const world = await start(t, { cache: 'private' })
  const other = await sessionCookie(world.built, { subject: 'another', accessToken: 'another-token' })
  world.upstream.handler = (request, response) => {
    const etag = `"of ${request.headers.authorization ?? ''}"`
    const isKnown = request.headers['if-none-match'] === etag
    response.writeHead(isKnown ? 304 : 200, { etag, 'cache-control': 'private, max-age=60' }).end(isKnown ? '' : etag)
  }
  const first = await call(world, '/api/me')
  const etag = first.headers.get('etag') ?? ''
  t.match(first.headers.get('vary'), /Cookie.*Origin.*Sec-Fetch-Site/)
  const again = await call(world, '/api/me', { headers: { 'if-none-match': etag } })
  t.equal(again.status, 304)
  t.match(again.headers.get('vary'), /Cookie.*Origin.*Sec-Fetch-Site/)
  const theirs = await call(world, '/api/me', { headers: { cookie: other, 'if-none-match': etag } })
  t.equal(theirs.status, 200, 'a condition of one person gives another their own answer')
  t.match(await theirs.text(), /another-token/)
  t.equal(world.upstream.requests.length, 3, 'each call reached the API')
})

t.test('BBA-20 a call carries the token and no cookie', async (t) => {
  const world = await start(t)
  const answer = await call(world, '/api/orders/7?x=1')
  t.equal(answer.status, 200)
  t.equal(answer.headers.get('bulla-error'), null)
  const { url, headers, rawHeaders } = last(world.upstream)
  t.equal(url, '/api/orders/7?x=1')
  t.equal(headers.authorization, 'Bearer an-access-token')
  t.equal(rawHeaders.filter((name) => name.toLowerCase() === 'authorization').length, 1)
  t.equal(headers.cookie, undefined)
  t.equal(headers['x-csrf'], undefined)
  t.match(headers['x-request-id'], /^[\w-]{16}-\w+$/)
})

t.test('PRX-06 without a session a call is 401 and the upstream hears nothing', async (t) => {
  const world = await start(t)
  const answer = await call(world, '/api/x', { headers: { cookie: '' } })
  t.equal(answer.status, 401)
  t.equal(answer.headers.get('bulla-error'), 'login_required')
  t.match(await answer.json(), { code: 'login_required', login_url: '/bff/login' })
  t.equal(world.upstream.requests.length, 0)
})

t.test('token: optional and none call without session, and only optional uses one', async (t) => {
  for (const [token, authorization] of [['optional', 'Bearer an-access-token'], ['none', undefined]] as const) {
    const world = await start(t, { token })
    t.equal((await call(world, '/api/x', { headers: { cookie: '' } })).status, 200)
    t.equal(last(world.upstream).headers.authorization, undefined)
    t.equal((await call(world, '/api/x')).status, 200)
    t.equal(last(world.upstream).headers.authorization, authorization)
    t.equal(last(world.upstream).headers.cookie, undefined)
  }
})

t.test('PRX-04 PRX-05 PRX-07 S10 S16 S30 what the browser says of itself in other names does not reach the upstream', async (t) => {
  const spoofed = [
    'Authorization: Bearer stolen', 'DPoP: x', 'Cookie2: x', 'Proxy-Authorization: Basic eDp5', 'X-Forwarded-For: 6.6.6.6',
    'X-Forwarded-For: 7.7.7.7', 'X_Forwarded_For: 6.6.6.6', 'x-FORWARDED-host: evil', 'X-Forwarded-Proto: gopher',
    'X-Forwarded-Prefix: /x', 'X-Forwarded-Port: 1', 'X_Forwarded_User: root', 'Forwarded: for=6.6.6.6', 'X-Real-IP: 6.6.6.6',
    'X-Original-URL: /admin', 'X-Rewrite-URL: /admin', 'X-HTTP-Method-Override: DELETE', 'X-HTTP-Method: DELETE',
    'X-Method-Override: DELETE', 'X-User: root', 'X-Remote-User: root', 'X_Remote_User: root', 'X-Auth-Request-Email: root@x',
    'X-SSL-Client-Cert: x', 'SSL_CLIENT_CERT: x', 'X-Client-Cert: x', 'OIDC_CLAIM_sub: root', 'X-MS-Client-Principal: x',
    'Bulla-Error: x', 'Via: 1.1 evil', 'X-Request-Id: mine'
  ]
  const world = await start(t)
  const raw = await openRaw(t, world.port)
  raw.send(`GET /api/x HTTP/1.1\r\nHost: evil.example\r\nX-CSRF: 1\r\nCookie: ${world.cookie}\r\n${spoofed.join('\r\n')}\r\nX-Kept: yes\r\nConnection: close\r\n\r\n`)
  t.match(await raw.closed(), /^HTTP\/1\.1 200 /)
  const { headers, rawHeaders } = last(world.upstream)
  const names = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()).sort()
  t.strictSame(names, [
    'authorization', 'connection', 'host', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-kept', 'x-request-id'
  ])
  t.match(headers, {
    authorization: 'Bearer an-access-token',
    host: new URL(world.upstream.url).host,
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': new URL(world.built.url).host,
    'x-forwarded-proto': 'http'
  })
  t.not(headers['x-request-id'], 'mine')
})

t.test('PRX-01 PRX-02 S17 hop-by-hop headers and those that Connection names are dropped, our token is not', async (t) => {
  const world = await start(t)
  const raw = await openRaw(t, world.port)
  raw.send(`GET /api/x HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nCookie: ${world.cookie}\r\nTE: trailers\r\nKeep-Alive: timeout=9\r\n` +
    'Proxy-Connection: close\r\nTrailer: x\r\nX-Hop: 1\r\nConnection: close, authorization, x-forwarded-for, X-Hop\r\n\r\n')
  t.match(await raw.closed(), /^HTTP\/1\.1 200 /)
  const { headers } = last(world.upstream)
  for (const name of ['te', 'keep-alive', 'proxy-connection', 'trailer', 'x-hop']) t.equal(headers[name], undefined, name)
  t.equal(headers.authorization, 'Bearer an-access-token')
  t.equal(headers['x-forwarded-for'], '127.0.0.1')
})

t.test('PRX-07 PRX-08 what a trusted proxy says of the client is believed, and no more', async (t) => {
  const world = await start(t, {}, { trusted_proxies: ['127.0.0.0/8', '10.0.0.0/8'] })
  await call(world, '/api/x', { headers: { 'x-forwarded-for': '6.6.6.6, 203.0.113.9, 10.1.1.1', 'x-forwarded-proto': 'gopher', 'x-forwarded-host': 'evil' } })
  const { headers } = last(world.upstream)
  t.equal(headers['x-forwarded-for'], '203.0.113.9, 10.1.1.1, 127.0.0.1')
  t.equal(headers['x-forwarded-proto'], 'http')
  t.equal(headers['x-forwarded-host'], new URL(world.built.url).host)
})

t.test('trace context and range headers pass', async (t) => {
  const world = await start(t)
  const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=b', range: 'bytes=0-1', 'if-none-match': '"x"' }
  await call(world, '/api/x', { headers })
  t.match(last(world.upstream).headers, headers)
})

t.test('PRX-03 Via is added if the route says so', async (t) => {
  const world = await start(t, { via: true })
  await call(world, '/api/x')
  t.equal(last(world.upstream).headers.via, '1.1 bulla')
  await call(world, '/api/x', { headers: { via: '1.1 edge' } })
  t.equal(last(world.upstream).headers.via, '1.1 edge, 1.1 bulla')
})

t.test('a route sets and removes headers, in both directions', async (t) => {
  const world = await start(t, {
    request_headers: { set: { 'X-Api-Key': 'k' }, remove: ['X-Noise'] },
    response_headers: { set: { 'X-Frame-Options': 'DENY' }, remove: ['X-Debug'] }
  })
  world.upstream.handler = (_request, response) => {
    response.writeHead(200, { 'x-debug': '1', 'x-frame-options': 'ALLOW', 'x-kept': '1' }).end()
  }
  const answer = await call(world, '/api/x', { headers: { 'x-api-key': 'mine', x_api_key: 'mine', 'x-noise': '1' } })
  const { headers } = last(world.upstream)
  t.equal(headers['x-api-key'], 'k')
  t.equal(headers.x_api_key, undefined)
  t.equal(headers['x-noise'], undefined)
  t.equal(answer.headers.get('x-frame-options'), 'DENY')
  t.equal(answer.headers.get('x-debug'), null)
  t.equal(answer.headers.get('x-kept'), '1')
})

t.test('PRX-24 the query goes through byte for byte, and prefixes are rewritten', async (t) => {
  const world = await start(t, { rewrite_prefix: '/v1' })
  await call(world, '/api/x')
  for (const query of ['?a=1&a=2&b=%2f&c', '?', '?x=%zz&y=%', '?q=a+b%20c&&', '?\'"<>[]{}|^`\\', '?a=/../b?c']) {
    const raw = await openRaw(t, world.port)
    raw.send(`GET /api/orders/7${query} HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nCookie: ${world.cookie}\r\nConnection: close\r\n\r\n`)
    t.match(await raw.closed(), /^HTTP\/1\.1 200 /, query)
    t.equal(last(world.upstream).url, `/v1/orders/7${query}`)
  }
  await call(world, '/api')
  t.equal(last(world.upstream).url, '/v1')
})

t.test('the longest prefix wins, and an upstream may have a path', async (t) => {
  const one = await startUpstream(t)
  const two = await startUpstream(t)
  const built = await build(t, {
    settings: {
      routes: [
        { prefix: '/api', upstream: `${one.url}/base/`, token: 'none' },
        { prefix: '/api/orders', upstream: two.url, rewrite_prefix: '', token: 'none' }
      ]
    }
  })
  const get = async (path: string): Promise<number> => (await fetch(built.url + path, { headers: { 'x-csrf': '1' } })).status
  t.equal(await get('/api/x'), 200)
  t.equal(await get('/api/orders/7'), 200)
  t.equal(await get('/api/orders'), 200)
  t.equal(await get('/api/ordersx'), 200)
  t.equal(await get('/apix'), 404)
  t.strictSame(one.requests.map(({ url }) => url), ['/base/api/x', '/base/api/ordersx'])
  t.strictSame(two.requests.map(({ url }) => url), ['/7', '/'])
})

t.test('BBA-19 PRX-09 PRX-12 other methods are 405, OPTIONS is answered here, TRACE is refused', async (t) => {
  const world = await start(t, { methods: ['GET'] })
  const refused = await call(world, '/api/x', { method: 'DELETE' })
  t.equal(refused.status, 405)
  t.equal(refused.headers.get('bulla-error'), 'method_not_allowed')
  t.equal(refused.headers.get('allow'), 'GET')
  const options = await call(world, '/api/x', { method: 'OPTIONS', headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' } })
  t.equal(options.status, 204)
  t.equal(options.headers.get('allow'), 'GET')
  t.equal(options.headers.get('access-control-allow-origin'), null)
  const raw = await openRaw(t, world.port)
  raw.send('TRACE /api/x HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nConnection: close\r\n\r\n')
  t.match(await raw.closed(), /^HTTP\/1\.1 40[45] /)
  t.equal(world.upstream.requests.length, 0)
})

t.test('S19 bodies go through as they are, with their length and type, whatever the type', async (t) => {
  const world = await start(t)
  const body = Buffer.from('{"broken": \xff')
  for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded', 'x/y+z']) {
    const answer = await call(world, '/api/x', { method: 'POST', body, headers: { 'content-type': type } })
    t.equal(answer.status, 200, type)
    t.equal(last(world.upstream).headers['content-type'], type)
    t.equal(last(world.upstream).headers['content-length'], String(body.length))
    t.ok(last(world.upstream).body.equals(body))
  }
  await call(world, '/api/x', { method: 'POST' })
  t.equal(last(world.upstream).headers['content-length'], '0')
  await call(world, '/api/x', { method: 'DELETE' })
  t.equal(last(world.upstream).headers['content-length'], undefined)
})

t.test('PRX-02 PRX-11 PRX-12 PRX-13 PRX-15 what an upstream may not say to the browser is dropped', async (t) => {
  const world = await start(t)
  world.upstream.handler = (_request, response) => {
    response.writeHead(200, [
      'Set-Cookie', 'bulla.0=x; Path=/', 'Set-Cookie', '__Host-Http-bulla.0=y', 'Set-Cookie2', 'x', 'Access-Control-Allow-Origin', '*',
      'Access-Control-Allow-Credentials', 'true', 'WWW-Authenticate', 'Basic realm="x"', 'Clear-Site-Data', '"*"',
      'Strict-Transport-Security', 'max-age=1', 'Service-Worker-Allowed', '/', 'Public-Key-Pins', 'x', 'Refresh', '0;url=//evil',
      'Server', 'internal/1', 'X-Powered-By', 'x', 'Via', '1.1 internal', 'Bulla-Error', 'login_required', 'Proxy-Authenticate', 'Basic',
      'X-Hop', '1', 'Keep-Alive', 'timeout=1', 'Connection', 'close, x-hop', 'Surrogate-Control', 'max-age=9', 'X-Kept', 'yes',
      'Content-Type', 'application/json', 'X-Content-Type-Options', 'none'
    ].flatMap((part) => [part]))
    response.end('{}')
  }
  const answer = await call(world, '/api/x')
  t.strictSame([...answer.headers.keys()].sort(), [
    'cache-control', 'connection', 'content-type', 'cross-origin-resource-policy', 'date', 'keep-alive', 'transfer-encoding', 'vary',
    'x-content-type-options', 'x-kept'
  ])
  t.equal(answer.headers.get('keep-alive'), 'timeout=72')
  t.equal(answer.headers.get('x-content-type-options'), 'nosniff')
})

t.test('PRX-17 HTML, XML and SVG of a route cannot run as our origin, unless the route says so', async (t) => {
  for (const html of [false, true]) {
    const world = await start(t, { html })
    for (const type of ['text/html', 'TEXT/HTML; charset=utf-8', 'image/svg+xml', 'application/xml', 'text/xml', 'application/xhtml+xml', 'application/rss+xml', 'application/json']) {
      world.upstream.handler = (_request, response) => { response.writeHead(200, { 'content-type': type }).end('<') }
      const answer = await call(world, '/api/x')
      const expected = html || type === 'application/json' ? null : "sandbox; default-src 'none'"
      t.equal(answer.headers.get('content-security-policy'), expected, type)
      t.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    }
  }
})

t.test('PRX-13 PRX-14 a 401 or 403 of the upstream passes with its body, and is not taken for ours', async (t) => {
  const world = await start(t)
  for (const status of [401, 403, 404, 500, 503]) {
    world.upstream.handler = (_request, response) => {
      response.writeHead(status, { 'www-authenticate': 'Basic realm="x"', 'bulla-error': 'x', 'retry-after': '7' }).end('theirs')
    }
    const answer = await call(world, '/api/x')
    t.equal(answer.status, status)
    t.equal(await answer.text(), 'theirs')
    t.equal(answer.headers.get('www-authenticate'), null)
    t.equal(answer.headers.get('bulla-error'), null)
    t.equal(answer.headers.get('set-cookie'), null)
    t.equal(answer.headers.get('retry-after'), '7')
  }
  t.equal(world.upstream.requests.length, 5, 'PRX-19 nothing was repeated')
})

t.test('PRX-16 redirects are not followed, and lead to where the browser can go', async (t) => {
  const world = await start(t, { rewrite_prefix: '/v1' })
  const cases: Array<[string, string | null]> = [
    ['/v1/orders/8', '/api/orders/8'], [`${world.upstream.url}/v1/orders/8?x#y`, '/api/orders/8?x#y'], ['8', '/api/orders/8'],
    ['?page=2', '/api/orders/7?page=2'], ['/internal', null], [`${world.upstream.url}/other`, null], ['http://10.0.0.1/', null],
    ['https://orders.internal/x', null], ['//evil', null], ['https://accounts.example.com/x', 'https://accounts.example.com/x'],
    ['javascript:alert(1)', null], ['http://localhost:1/', null], ['http://[::1]/', null], [`${world.built.url}/x`, `${world.built.url}/x`],
    ['https://user:pw@files.example.com/', null], ['http://[broken', null]
  ]
  for (const [location, expected] of cases) {
    world.upstream.handler = (_request, response) => { response.writeHead(302, { location }).end() }
    const answer = await call(world, '/api/orders/7')
    t.equal(answer.status, 302, location)
    t.equal(answer.headers.get('location'), expected, location)
  }
  t.equal(world.upstream.requests.length, cases.length)
})

t.test('PRX-30 HEAD, 204, 304 and unusual lengths keep their meaning, on one connection', async (t) => {
  const world = await start(t)
  const raw = await openRaw(t, world.port)
  const send = async (method: string, handler: Upstream['handler'], end: RegExp): Promise<string> => {
    world.upstream.handler = handler
    const before = raw.received.length
    raw.send(`${method} /api/x HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nCookie: ${world.cookie}\r\n\r\n`)
    while (!end.test(raw.received.slice(before))) await new Promise((resolve) => raw.socket.once('data', resolve))
    return raw.received.slice(before)
  }
  const head = await send('HEAD', (_request, response) => { response.writeHead(200, { 'content-length': '12' }).end() }, /\r\n\r\n$/)
  t.match(head, /content-length: 12\r\n/)
  const empty = await send('GET', (_request, response) => { response.writeHead(204).end() }, /\r\n\r\n$/)
  t.match(empty, /^HTTP\/1\.1 204 /)
  t.notMatch(empty, /content-length|transfer-encoding/)
  const unchanged = await send('GET', (_request, response) => { response.writeHead(304, { etag: '"x"' }).end() }, /\r\n\r\n$/)
  t.match(unchanged, /^HTTP\/1\.1 304 [^]*etag: "x"\r\n/)
  const hinted = await send('GET', (_request, response) => {
    response.writeProcessing()
    response.writeEarlyHints({ link: '</x>; rel=preload' })
    response.writeHead(200, { 'content-length': '2' }).end('ok')
  }, /ok$/)
  t.match(hinted, /^HTTP\/1\.1 200 /)
  const none = await send('GET', (_request, response) => { response.writeHead(200, { 'content-length': '0' }).end() }, /\r\n\r\n$/)
  t.match(none, /content-length: 0\r\n/)
  const trailers = await send('GET', (_request, response) => {
    response.writeHead(200, { trailer: 'x-sum' })
    response.write('body')
    response.addTrailers({ 'x-sum': '1' })
    response.end()
  }, /0\r\n\r\n$/)
  t.notMatch(trailers, /x-sum/)
  world.upstream.handler = echo
  t.match(await send('GET', echo, /\}\r\n0\r\n\r\n$/), /^HTTP\/1\.1 200 /)
})

t.test('the path is judged before the guard, the guard before the session', async (t) => {
  const world = await start(t)
  for (const [path, headers, code] of [
    ['/api/%2e%2e/x', '', 'bad_request'],
    ['/api/x', '', 'csrf_header_missing'],
    ['/api/x', 'X-CSRF: 1\r\n', 'login_required']
  ] as const) {
    const raw = await openRaw(t, world.port)
    raw.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`)
    t.match(await raw.until(/bulla-error: \w+/i), new RegExp(`bulla-error: ${code}`, 'i'))
  }
  t.equal(world.upstream.requests.length, 0)
})

t.test('PRX-20/21 encoded_slashes lets %2f through as it is, and still no dot segment', async (t) => {
  const world = await start(t, { encoded_slashes: true, rewrite_prefix: '/v1' })
  t.equal((await call(world, '/api/files/a%2Fb?x=%2f')).status, 200)
  t.equal(last(world.upstream).url, '/v1/files/a%2Fb?x=%2f')
  for (const path of ['/api/files/..%2fb', '/api/a%2f..%2fb', '/api/a%2f%2fb', '/api%2f..%2fx', '/api/a%252fb']) {
    const answer = await call(world, path)
    t.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`)
  }
  t.equal(world.upstream.requests.length, 1)
  const strict = await start(t)
  t.equal((await call(strict, '/api/files/a%2Fb')).status, 400, 'off by default')
})

t.test('PRX-07 S10 identity headers of further gateways do not pass', async (t) => {
  const world = await start(t)
  const names = [
    'cf-access-jwt-assertion', 'cf-access-authenticated-user-email', 'x-authentik-username', 'tailscale-user-login', 'remote-groups',
    'Impersonate-User', 'x_authentik_username', 'x-forwarded', 'x-remote-extra-scopes'
  ]
  await call(world, '/api/x', { headers: Object.fromEntries(names.map((name) => [name, 'admin'])) })
  const { headers } = last(world.upstream)
  t.strictSame(names.filter((name) => headers[name.toLowerCase()] !== undefined), [])
})
