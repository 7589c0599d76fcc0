// Aggregates: several calls through the same routes and policies, in parallel, answered as one.
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { json as readJson } from 'node:stream/consumers'
import t from 'tap'
import { build, freePort, type Teardown } from '../support/build.ts'
import { namesSet, outcome, scene, TOKEN_LIFE, type Scene, type SceneOptions } from '../support/refreshing.ts'
import { startUpstream, type Upstream, type UpstreamHandler } from '../support/upstream.ts'

interface Stage extends Scene { readonly api: Upstream }

type Aggregates = Record<string, Record<string, string | { path: string, optional?: boolean }>>

/** Two routes of one API, one of them without a token, and aggregates over them. */
async function start (
  t: Teardown, aggregates: Aggregates, options: SceneOptions & { routes?: readonly object[] } = {}
): Promise<Stage> {
  const api = await startUpstream(t, json)
  const routes = options.routes ?? [{ prefix: '/api' }, { prefix: '/open', token: 'none' }]
  const built = await scene(t, {
    ...options,
    settings: {
      routes: routes.map((route) => ({ upstream: api.url, ...route })), aggregates, ...options.settings
    }
  })
  return { ...built, api }
}

/** Answers with the path, and what the name of it asks for. */
const json: UpstreamHandler = (incoming, response) => {
  const status = Number(/\/status-(\d+)/.exec(incoming.url ?? '')?.[1] ?? 200)
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ path: incoming.url }))
}

t.test('the parts are called in parallel with the token of the session, and answered as one', async (t) => {
  const { browser, api } = await start(t, { dashboard: { me: '/api/me', orders: { path: '/api/orders?limit=5' }, news: '/open/news' } })
  let arrived = 0
  let all = (): void => {}
  const together = new Promise<void>((resolve) => { all = resolve })
  api.handler = async (...args) => {
    if (++arrived === 3) all()
    await together
    json(...args)
  }
  const answer = await browser.fetch('/bff/aggregate/dashboard')
  t.equal(answer.status, 200)
  t.match(answer.headers, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }, 'CAC-01')
  t.equal(answer.headers['bulla-error'], undefined)
  t.equal(answer.text, '{"me":{"status":200,"body":{"path":"/api/me"}},' +
    '"orders":{"status":200,"body":{"path":"/api/orders?limit=5"}},"news":{"status":200,"body":{"path":"/open/news"}}}')
  const tokens = new Map(api.requests.map(({ url, headers }) => [url, headers.authorization]))
  t.match(tokens.get('/api/me'), /^Bearer ey/)
  t.equal(tokens.get('/api/orders?limit=5'), tokens.get('/api/me'))
  t.equal(tokens.get('/open/news'), undefined, 'a route without a token stays one')
})

t.test('the first required part that fails gives the status, in the declared order; all parts are told', async (t) => {
  const { browser } = await start(t, {
    fine: { a: { path: '/api/status-404', optional: true }, b: '/api/b' },
    broken: { a: { path: '/api/status-500', optional: true }, b: '/api/status-404', c: '/api/status-503', d: '/api/d' }
  })
  const fine = await browser.fetch('/bff/aggregate/fine')
  t.equal(fine.status, 200)
  t.strictSame(fine.json(), { a: { status: 404, body: { path: '/api/status-404' } }, b: { status: 200, body: { path: '/api/b' } } })
  const broken = await browser.fetch('/bff/aggregate/broken')
  t.equal(outcome(broken), '404', 'an API\'s own status is not ours')
  t.match(broken.json(), { a: { status: 500 }, b: { status: 404 }, c: { status: 503 }, d: { status: 200 } })
})

t.test('our own faults have a code: in the part, and in the header if they decide', async (t) => {
  const gone = `http://127.0.0.1:${await freePort()}`
  const { browser } = await start(t, {
    hard: { a: '/api/a', b: '/gone/b' }, soft: { a: '/api/a', b: { path: '/gone/b', optional: true } }
  }, { routes: [{ prefix: '/api' }, { prefix: '/gone', upstream: gone }] })
  const hard = await browser.fetch('/bff/aggregate/hard')
  t.equal(outcome(hard), '502 upstream_unreachable')
  t.match(hard.json(), { a: { status: 200 }, b: { status: 502, error: 'upstream_unreachable' } })
  t.notMatch(hard.text, /127\.0\.0\.1|ECONN/)
  const soft = await browser.fetch('/bff/aggregate/soft')
  t.equal(outcome(soft), '200')
  t.strictSame(soft.json().b, { status: 502, error: 'upstream_unreachable' })
})

t.test('without a session a part that needs one is login_required, and its API hears nothing', async (t) => {
  const { browser, api } = await start(t, { page: { me: '/api/me', news: '/open/news' }, mild: { me: { path: '/api/me', optional: true } } })
  browser.jar.clear()
  const page = await browser.fetch('/bff/aggregate/page')
  t.equal(outcome(page), '401 login_required')
  t.match(page.json(), { me: { status: 401, error: 'login_required' }, news: { status: 200 } })
  t.strictSame(api.requests.map(({ url }) => url), ['/open/news'])
  t.equal(outcome(await browser.fetch('/bff/aggregate/mild')), '200')
})

t.test('CSR-08 the guard stands in front: neither refresh nor call for what it refuses', async (t) => {
  const { browser, api, provider, clock } = await start(t, { page: { me: '/api/me' } })
  clock.advance(TOKEN_LIFE + 1)
  const calls = provider.calls.token
  t.equal(outcome(await browser.fetch('/bff/aggregate/page', { csrf: false })), '403 csrf_header_missing')
  t.equal(outcome(await browser.fetch('/bff/aggregate/page', { headers: { origin: 'https://evil.example' } })), '403 csrf_origin_refused')
  t.equal(outcome(await browser.fetch('/bff/aggregate/other')), '404 not_found')
  t.equal(outcome(await browser.fetch('/bff/aggregate/page', { method: 'POST' })), '405 method_not_allowed')
  t.equal(api.requests.length, 0)
  t.equal(provider.calls.token, calls)
  t.equal((await browser.fetch('/bff/aggregate/page?path=/api/admin')).status, 200, 'nothing of the request chooses a path')
  t.equal(api.requests[0]?.url, '/api/me')
})

t.test('REF-09 parts whose token is due make one refresh, and the answer carries one new session', async (t) => {
  const { browser, provider, clock } = await start(t, { page: { a: '/api/a', b: '/api/b', c: '/api/c' } })
  const calls = provider.calls.token
  clock.advance(TOKEN_LIFE + 1)
  const answer = await browser.fetch('/bff/aggregate/page')
  t.equal(answer.status, 200)
  t.strictSame(namesSet(answer), ['bulla.0'])
  t.equal(answer.setCookies.filter((line) => line.startsWith('bulla.0=')).length, 1)
  t.equal(provider.calls.token, calls + 1)
})

t.test('an invalid_token of one part costs one refresh, whose session the whole answer carries', async (t) => {
  const { browser, provider, api } = await start(t, { page: { a: '/api/a', b: '/api/b' } })
  const calls = provider.calls.token
  let refusals = 1
  api.handler = (incoming, response, recorded) => {
    if (incoming.url === '/api/b' && refusals-- > 0) {
      response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
    } else json(incoming, response, recorded)
  }
  const answer = await browser.fetch('/bff/aggregate/page')
  t.match(answer.json(), { a: { status: 200 }, b: { status: 200 } })
  t.strictSame(namesSet(answer), ['bulla.0'])
  t.equal(provider.calls.token, calls + 1)
})

t.test('a stronger login that one part asks for is told with its address', async (t) => {
  const { browser, api } = await start(t, { page: { a: '/api/a', b: { path: '/api/b', optional: true } } })
  api.handler = (incoming, response, recorded) => {
    const challenge = 'Bearer error="insufficient_user_authentication", acr_values="gold"'
    if (incoming.url === '/api/b') response.writeHead(401, { 'www-authenticate': challenge }).end()
    else json(incoming, response, recorded)
  }
  const answer = await browser.fetch('/bff/aggregate/page')
  t.equal(outcome(answer), '200')
  t.strictSame(answer.json().b, { status: 401, error: 'step_up_required', login_url: '/bff/login?acr_values=gold' })
})

t.test('bodies: digits are kept, text is a string, nothing is null, and no body breaks out of its part', async (t) => {
  const { browser, api } = await start(t, {
    page: { big: '/api/big', text: '/api/text', empty: '/api/empty', liar: '/api/liar', proto: '/api/proto' }
  })
  api.handler = (incoming, response) => {
    const answers: Record<string, [string, string]> = {
      '/api/big': ['application/vnd.api+json; charset=utf-8', '{"id":9007199254740993,"euro":"€"}'],
      '/api/text': ['text/plain', 'a "quoted" line\n\u2028'],
      '/api/empty': ['application/json', ''],
      '/api/liar': ['application/json', '1},"big":{"status":200,"body":"mine"'],
      '/api/proto': ['application/json', '{"__proto__":{"x":1}}']
    }
    const [type, body] = answers[incoming.url ?? ''] ?? ['', '']
    response.writeHead(200, { 'content-type': type }).end(body)
  }
  const answer = await browser.fetch('/bff/aggregate/page')
  t.match(answer.text, '"big":{"status":200,"body":{"id":9007199254740993,"euro":"€"}}')
  t.match(answer.json(), {
    text: { body: 'a "quoted" line\n\u2028' }, empty: { body: null }, liar: { body: '1},"big":{"status":200,"body":"mine"' }
  })
  t.match(answer.text, '"proto":{"status":200,"body":{"__proto__":{"x":1}}}')
})

t.test('what cannot be part of an answer is upstream_unreachable: too large, encoded, a redirect, cut short', async (t) => {
  const { browser, api } = await start(t, {
    page: { large: '/api/large', streamed: '/api/streamed', encoded: '/api/encoded', moved: '/api/moved', cut: '/api/cut', good: '/api/good' }
  })
  const seen: unknown[] = []
  api.handler = (incoming, response, recorded) => {
    seen.push(incoming.headers['accept-encoding'])
    switch (incoming.url) {
      case '/api/large': response.writeHead(200, { 'content-length': 5_000_000 }).end(Buffer.alloc(5_000_000, 'x')); break
      case '/api/streamed':
        response.writeHead(200)
        for (let i = 0; i < 80; i++) response.write(Buffer.alloc(65_536, 'x'))
        break
      case '/api/encoded': response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'); break
      case '/api/moved': response.writeHead(302, { location: 'http://10.0.0.1/' }).end(); break
      case '/api/cut':
        response.writeHead(200, { 'content-length': 100 }).write('x')
        setImmediate(() => { response.destroy() })
        break
      default: json(incoming, response, recorded)
    }
  }
  const answer = await browser.fetch('/bff/aggregate/page')
  t.equal(outcome(answer), '502 upstream_unreachable')
  const { good, ...bad } = answer.json()
  t.equal(good.status, 200)
  for (const [name, part] of Object.entries(bad)) t.strictSame(part, { status: 502, error: 'upstream_unreachable' }, name)
  t.ok(seen.every((value) => value === 'identity'))
  await Promise.all(api.requests.filter(({ url }) => url === '/api/streamed').map(async ({ closed }) => await closed))
  t.pass('the endless one was cancelled')
})

t.test('parts for which there is no place are overloaded, and the answer says when to come again', async (t) => {
  const { browser } = await start(t, { page: { a: '/api/a', b: '/api/b', c: '/api/c' } }, {
    deps: { poolLimits: { connections: 1, queue: 0, streams: 1 } }
  })
  const answer = await browser.fetch('/bff/aggregate/page')
  t.equal(outcome(answer), '503 overloaded')
  t.match(answer.headers['retry-after'], /^\d+$/)
  t.match(answer.json(), { a: { status: 200 }, b: { status: 503, error: 'overloaded' }, c: { error: 'overloaded' } })
})

t.test('a part that does not end in time is upstream_timeout, however lively it began', async (t) => {
  const { browser, api } = await start(t, { page: { slow: '/api/slow', drip: '/api/drip' } }, {
    routes: [{ prefix: '/api', timeout: '1s' }]
  })
  api.handler = (incoming, response) => {
    if (incoming.url === '/api/slow') return
    response.writeHead(200)
    const timer = setInterval(() => { response.write('x') }, 50)
    response.on('close', () => { clearInterval(timer) })
  }
  const answer = await browser.fetch('/bff/aggregate/page')
  t.equal(outcome(answer), '504 upstream_timeout')
  t.strictSame(answer.json(), { slow: { status: 504, error: 'upstream_timeout' }, drip: { status: 504, error: 'upstream_timeout' } })
  await Promise.all(api.requests.map(async ({ closed }) => await closed))
})

t.test('PRX-29 a browser that leaves cancels every part', async (t) => {
  const api = await startUpstream(t, () => {})
  const { url } = await build(t, {
    settings: {
      routes: [{ prefix: '/open', upstream: api.url, token: 'none' }],
      aggregates: { page: Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`p${i}`, `/open/${i}`])) }
    }
  })
  const call = request(`${url}/bff/aggregate/page`, { headers: { 'x-csrf': '1' } })
  call.on('error', () => {})
  call.end()
  while (api.requests.length < 12) await api.nextRequest()
  call.destroy()
  await Promise.all(api.requests.map(async ({ closed }) => await closed))
  t.ok(api.requests.every(({ aborted }) => aborted))
})

t.test('PRX-01 what Connection names goes no further in a part; statuses that HTTP does not know are no answer', async (t) => {
  const { browser, api, url } = await start(t, { page: { me: '/api/me', odd: { path: '/api/odd', optional: true } } })
  api.handler = (incoming, response, recorded) => {
    if (incoming.url === '/api/odd') response.writeHead(700).end()
    else json(incoming, response, recorded)
  }
  const headers = { cookie: browser.jar.header(url) ?? '', 'x-csrf': '1', connection: 'close, x-secret-hop', 'x-secret-hop': '1', 'x-other': '2' }
  const [answer] = await once(request(`${url}/bff/aggregate/page`, { headers }).end(), 'response') as [IncomingMessage]
  t.equal(answer.statusCode, 200)
  t.strictSame((await readJson(answer) as Record<string, unknown>).odd, { status: 502, error: 'upstream_unreachable' })
  const me = api.requests.find(({ url }) => url === '/api/me')
  t.equal(me?.headers['x-secret-hop'], undefined)
  t.equal(me?.headers['x-other'], '2')
})

t.test('PRX-05 parts carry no cookie, no condition and no credentials of the browser', async (t) => {
  const { browser, api } = await start(t, { page: { me: '/api/me' } })
  await browser.fetch('/bff/aggregate/page', {
    headers: {
      authorization: 'Basic x', 'if-none-match': '"1"', range: 'bytes=0-1', 'x-forwarded-for': '1.2.3.4', 'accept-language': 'de', traceparent: '00-1'
    }
  })
  const headers = api.requests[0]?.headers ?? {}
  for (const name of ['cookie', 'if-none-match', 'range', 'x-csrf']) t.equal(headers[name], undefined, name)
  t.match(headers, { authorization: /^Bearer /, accept: 'application/json', 'accept-language': 'de', traceparent: '00-1' })
  t.notMatch(headers['x-forwarded-for'], /1\.2\.3\.4/)
})
