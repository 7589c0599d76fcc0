// WebSockets: who may open one, what reaches the upstream, and when it ends.
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { decodeJwt } from 'jose'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { build, type Built } from '../support/build.ts'
import { openRaw } from '../support/raw.ts'
import { sessionCookie } from '../support/session-cookie.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { startWorld } from '../support/world.ts'
import type { Teardown } from '../support/provider.ts'

interface World { upstream: Upstream, built: Built, cookie: string }

async function start (t: Teardown, route: object = {}, settings: object = {}): Promise<World> {
  const upstream = await startUpstream(t)
  const built = await build(t, {
    settings: { routes: [{ prefix: '/live', upstream: upstream.url, websocket: true, ...route }], ...settings }
  })
  return { upstream, built, cookie: await sessionCookie(built) }
}

function open (t: Teardown, { built, cookie }: Pick<World, 'built' | 'cookie'>, options: { path?: string, headers?: Record<string, string>, origin?: string | null, protocols?: string[] } = {}): WebSocket {
  const { path = '/live/x', headers = {}, origin = built.url, protocols = [] } = options
  const socket = new WebSocket(`${built.url.replace('http', 'ws')}${path}`, protocols, {
    headers: { cookie, ...headers }, ...(origin === null ? {} : { origin })
  })
  t.teardown(() => { socket.terminate() })
  return socket
}

async function refusedWith (socket: WebSocket): Promise<number | undefined> {
  socket.on('error', () => {})
  const [request, answer] = await once(socket, 'unexpected-response')
  request.destroy()
  return answer.statusCode
}

async function closedWith (socket: WebSocket): Promise<number> {
  const [code] = await once(socket, 'close') as [number]
  return code
}

t.test('WSS-02 a socket carries the token and no cookie, and messages go both ways', async (t) => {
  const world = await start(t)
  const socket = open(t, world, { path: '/live/x?a=1&b=%2f', protocols: ['chat', 'other'], headers: { authorization: 'Bearer stolen', 'x-forwarded-for': '6.6.6.6', 'x-kept': '1' } })
  await once(socket, 'open')
  t.equal(socket.protocol, 'chat')
  socket.send('first')
  await once(socket, 'message')
  const handshake = world.upstream.handshakes[0]
  t.equal(handshake?.url, '/live/x?a=1&b=%2f')
  t.match(handshake?.headers, { authorization: 'Bearer an-access-token', 'x-forwarded-for': '127.0.0.1', 'x-kept': '1', 'sec-websocket-protocol': 'chat' })
  t.equal(handshake?.headers.cookie, undefined)
  t.equal(handshake?.headers['sec-websocket-extensions'], undefined)
  for (const message of ['hello', 'a'.repeat(500_000)]) {
    socket.send(message)
    const [data] = await once(socket, 'message') as [Buffer]
    t.equal(String(data), message)
  }
  const [upstreamSocket] = world.upstream.sockets
  upstreamSocket?.close(4000, 'bye')
  t.equal(await closedWith(socket), 4000)
  while (world.built.app.liveStreams.size > 0) await new Promise((resolve) => setImmediate(resolve))
})

t.test('messages that are sent before the upstream has answered arrive, in order', async (t) => {
  const world = await start(t)
  const socket = open(t, world)
  await once(socket, 'open')
  const received: string[] = []
  const all = new Promise<void>((resolve) => {
    socket.on('message', (data) => { if (received.push(String(data)) === 100) resolve() })
  })
  for (let i = 0; i < 100; i++) socket.send(String(i))
  await all
  t.strictSame(received, Array.from({ length: 100 }, (_, index) => String(index)))
})

t.test('WSS-01 S21 only the own origin and listed ones may open a socket; nothing reaches the upstream otherwise', async (t) => {
  const world = await start(t, { csrf: 'fetch-metadata' }, { allowed_origins: ['https://admin.example'] })
  for (const origin of ['https://evil.example', 'null', null, `${world.built.url}.evil`, `${world.built.url}, ${world.built.url}`]) {
    t.equal(await refusedWith(open(t, world, { origin, headers: { 'x-csrf': '1', 'sec-fetch-site': 'same-origin' } })), 403, String(origin))
  }
  t.equal(world.upstream.handshakes.length, 0)
  const coming = world.upstream.nextSocket()
  await once(open(t, world, { origin: 'https://admin.example' }), 'open')
  await coming
  t.equal(world.upstream.handshakes.length, 1)
})

t.test('WSS-02 without session there is no socket; a route without websocket has none either', async (t) => {
  const world = await start(t)
  t.equal(await refusedWith(open(t, { ...world, cookie: '' })), 401)
  t.equal(await refusedWith(open(t, world, { path: '/live/../x' })), 404)
  t.equal(await refusedWith(open(t, world, { path: '/live/a%2fb' })), 400)
  t.equal(await refusedWith(open(t, world, { path: '/nowhere' })), 404)
  t.equal(world.upstream.handshakes.length, 0)
  const plain = await start(t, { websocket: false, csrf: 'fetch-metadata' })
  t.equal(await refusedWith(open(t, plain)), 200, 'it is an ordinary call there')
  t.equal(plain.upstream.handshakes.length, 0)
})

t.test('what is no WebSocket handshake is refused', async (t) => {
  const world = await start(t)
  for (const lines of ['Upgrade: h2c', 'Upgrade: websocket', 'Upgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']) {
    const raw = await openRaw(t, Number(new URL(world.built.url).port))
    raw.send(`GET /live/x HTTP/1.1\r\nHost: x\r\nOrigin: ${world.built.url}\r\nCookie: ${world.cookie}\r\nConnection: Upgrade\r\n${lines}\r\n\r\n`)
    t.match(await raw.closed(), /^HTTP\/1\.1 400 [^]*bulla-error: bad_request/)
  }
  t.equal(world.upstream.handshakes.length, 0)
  const call = await fetch(`${world.built.url}/live/x`, { headers: { cookie: world.cookie, 'x-csrf': '1', upgrade: 'websocket' } }).catch(() => null)
  t.ok(call === null || call.status === 200)
})

t.test('WSS-04 a socket ends with its session: by time, and when it is told so', async (t) => {
  const world = await start(t)
  const now = Math.floor(Date.now() / 1000)
  const coming = world.upstream.nextSocket()
  const byTime = open(t, { ...world, cookie: await sessionCookie(world.built, { expiresAt: now + 2 }) })
  await once(byTime, 'open')
  const ended = once(await coming, 'close')
  t.equal(await closedWith(byTime), 4401)
  await ended
  const told = open(t, { ...world, cookie: await sessionCookie(world.built, { sid: 'a-session-of-its-own--' }) })
  await once(told, 'open')
  t.equal(world.built.app.liveStreams.end('a-session-of-its-own--'), 1)
  t.equal(await closedWith(told), 4401)
})

t.test('WSS-04 a session that ends before the upstream has taken the socket ends both', async (t) => {
  const upstream = createServer().listen(0, '127.0.0.1')
  t.teardown(() => { upstream.close() })
  await once(upstream, 'listening')
  const asked = once(upstream, 'upgrade') as Promise<[IncomingMessage, Duplex, Buffer]>
  const world = await start(t, { upstream: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}` })
  const socket = open(t, { ...world, cookie: await sessionCookie(world.built, { sid: 'ends' }) })
  await once(socket, 'open')
  const handshake = await asked
  t.equal(world.built.app.liveStreams.end('ends'), 1)
  t.equal(await closedWith(socket), 4401)
  const taken = await new Promise<WebSocket>((resolve) => {
    new WebSocketServer({ noServer: true }).handleUpgrade(...handshake, resolve)
  })
  t.equal(await closedWith(taken), 1001)
})

t.test('WSS-05 a message over the limit closes the socket with 1009, whoever sent it', async (t) => {
  const world = await start(t, { websocket_max_message: 1000 })
  const tooBig = open(t, world)
  await once(tooBig, 'open')
  tooBig.send('a'.repeat(1001))
  t.equal(await closedWith(tooBig), 1009)
  const coming = world.upstream.nextSocket()
  const socket = open(t, world)
  await once(socket, 'open')
  ;(await coming).send('a'.repeat(1001))
  t.equal(await closedWith(socket), 1009)
})

t.test('WSS-05 a side that does not read is not written to without bound', async (t) => {
  const world = await start(t)
  const coming = world.upstream.nextSocket()
  const socket = open(t, world)
  await once(socket, 'open')
  const target = await coming
  target.pause()
  const message = 'a'.repeat(1_000_000)
  for (let i = 0; i < 30; i++) socket.send(message)
  let before = -1
  while (socket.bufferedAmount !== before) {
    before = socket.bufferedAmount
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  t.ok(before > 5_000_000, `${before} bytes are still with the browser`)
  let count = 0
  const all = new Promise<void>((resolve) => { socket.on('message', () => { if (++count === 30) resolve() }) })
  target.resume()
  await all
  t.equal(count, 30)
})

t.test('an upstream that refuses or is gone closes the socket with 1011', async (t) => {
  const world = await start(t)
  world.upstream.refuseSocketsWith = 403
  const refused = open(t, world)
  t.equal(await closedWith(refused), 1011)
  await world.upstream.stop()
  t.equal(await closedWith(open(t, world)), 1011)
})

t.test('WSS-02 REF-13 a token that is due is refreshed first, and the 101 carries the new cookie', async (t) => {
  const upstream = await startUpstream(t)
  let ahead = 0
  const world = await startWorld(t, {
    provider: { accessTokenTtl: 10 },
    settings: { routes: [{ prefix: '/live', upstream: upstream.url, websocket: true }] },
    deps: { clock: () => Date.now() + ahead }
  })
  await world.login()
  const cookie = world.browser.jar.header(world.bulla.url) ?? ''
  ahead = 9_000
  const socket = open(t, { built: world.bulla, cookie })
  const [[answer]] = await Promise.all([once(socket, 'upgrade'), once(socket, 'open')])
  t.match(answer.headers['set-cookie']?.[0], /^bulla\.0=/)
  t.equal(world.provider.calls.token, 2)
})

t.test('PRX-32 a socket of a route with a token of its own carries that one', async (t) => {
  const upstream = await startUpstream(t)
  const world = await startWorld(t, {
    settings: {
      routes: [
        { prefix: '/live', upstream: upstream.url, websocket: true, exchange: { audience: 'live' } },
        { prefix: '/open', upstream: upstream.url, websocket: true, token: 'client', resource: 'urn:bulla-demo:orders' }
      ]
    }
  })
  await world.login()
  const cookie = world.browser.jar.header(world.bulla.url) ?? ''
  for (const [path, own] of [['/live/x', cookie], ['/open/x', '']] as const) {
    const arrived = upstream.nextSocket()
    open(t, { built: world.bulla, cookie: own }, { path })
    await arrived
  }
  const [live, client] = upstream.handshakes.map(({ headers }) => decodeJwt((headers.authorization ?? '').slice(7)))
  t.match(live, { aud: 'live', sub: /./ })
  t.match(client, { aud: 'urn:bulla-demo:orders', client_id: world.provider.clientId })
  t.not(client?.sub, live?.sub)
})

t.test('the app\'s development server is served, its WebSocket too, without cookies and tokens', async (t) => {
  const upstream = await startUpstream(t)
  const built = await build(t, { settings: { spa: upstream.url } })
  const cookie = await sessionCookie(built)
  const page = await fetch(`${built.url}/src/main.ts?x=1`, { headers: { cookie } })
  t.equal(page.status, 200)
  t.equal(upstream.requests[0]?.url, '/src/main.ts?x=1')
  t.equal(upstream.requests[0]?.headers.cookie, undefined)
  t.equal(upstream.requests[0]?.headers.authorization, undefined)
  const socket = open(t, { built, cookie }, { path: '/?token=hmr', protocols: ['vite-hmr'] })
  await once(socket, 'open')
  socket.send('ping')
  const [data] = await once(socket, 'message') as [Buffer]
  t.equal(String(data), 'ping')
  t.equal(upstream.handshakes[0]?.headers.cookie, undefined)
  t.equal(upstream.handshakes[0]?.url, '/?token=hmr')
  t.equal(await refusedWith(open(t, { built, cookie }, { path: '/', origin: 'https://evil.example' })), 403)
  await upstream.stop()
  const gone = await fetch(`${built.url}/`)
  t.equal(gone.status, 502)
  t.equal(gone.headers.get('bulla-error'), 'upstream_unreachable')
})
