// Bodies as streams: pace, limits, early answers, leaving clients, failing upstreams.
import { once } from 'node:events'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { build, type Built, type BuildOptions } from '../support/build.ts'
import { openRaw, type Raw } from '../support/raw.ts'
import { sessionCookie } from '../support/session-cookie.ts'
import { startUpstream, type Upstream, type UpstreamOptions } from '../support/upstream.ts'
import type { Teardown } from '../support/provider.ts'

interface World { upstream: Upstream, built: Built, cookie: string, port: number, lines: string[] }

async function start (
  t: Teardown, route: object = {}, deps: BuildOptions['deps'] = {}, upstreamOptions: UpstreamOptions = {}
): Promise<World> {
  const upstream = await startUpstream(t, undefined, upstreamOptions)
  const lines: string[] = []
  const built = await build(t, {
    settings: { routes: [{ prefix: '/api', upstream: upstream.url, ...route }] },
    deps: { logger: { level: 'info', stream: { write: (line: string) => { lines.push(line) } } }, ...deps }
  })
  return { upstream, built, cookie: await sessionCookie(built), port: Number(new URL(built.url).port), lines }
}

function open (world: World, method: string, headers: Record<string, string> = {}): ClientRequest {
  return httpRequest(`${world.built.url}/api/x`, { method, headers: { cookie: world.cookie, 'x-csrf': '1', ...headers }, agent: false })
}

async function answerOf (request: ClientRequest): Promise<IncomingMessage> {
  const [answer] = await once(request, 'response') as [IncomingMessage]
  return answer
}

async function textOf (answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of answer) text += String(chunk)
  return text
}

function head (world: World, method: string, ...lines: string[]): string {
  return `${method} /api/x HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nCookie: ${world.cookie}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`
}

async function raw (t: Teardown, world: World, text: string): Promise<Raw> {
  const connection = await openRaw(t, world.port)
  connection.send(text)
  return connection
}

t.test('PRX-28 a body over the limit is 413: declared before the upstream hears of it, chunked while it streams', async (t) => {
  const world = await start(t, { body_limit: 1000 })
  const declared = await raw(t, world, head(world, 'POST', 'Content-Length: 1001'))
  t.match(await declared.until(/\r\n\r\n[^]*\}/), /^HTTP\/1\.1 413 [^]*bulla-error: body_too_large/)
  t.equal(world.upstream.requests.length, 0)

  const request = open(world, 'POST')
  const coming = world.upstream.nextRequest()
  request.write(Buffer.alloc(600))
  const recorded = await coming
  request.write(Buffer.alloc(600))
  const answer = await answerOf(request)
  t.equal(answer.statusCode, 413)
  t.equal(answer.headers['bulla-error'], 'body_too_large')
  request.end()
  await textOf(answer)
  await recorded.closed
  t.ok(recorded.aborted, 'the upstream call is given up')
  t.notOk(recorded.ended)

  const exact = open(world, 'POST')
  exact.end(Buffer.alloc(1000))
  t.equal((await answerOf(exact)).statusCode, 200)
})

t.test('PRX-28 a body that stalls is 408, and the connection ends', async (t) => {
  const world = await start(t, {}, { bodyStall: 100 })
  const connection = await raw(t, world, head(world, 'POST', 'Content-Length: 10') + 'abc')
  const recorded = await world.upstream.nextRequest()
  t.match(await connection.closed(), /^HTTP\/1\.1 408 [^]*bulla-error: request_timeout/)
  await recorded.closed
  t.notOk(recorded.ended)
})

t.test('PRX-29 a client that leaves before the answer cancels the call', async (t) => {
  const world = await start(t)
  world.upstream.handler = () => {}
  const coming = world.upstream.nextRequest()
  const request = open(world, 'GET')
  request.on('error', () => {})
  request.end()
  const recorded = await coming
  request.destroy()
  await recorded.closed
  t.ok(recorded.aborted)
})

t.test('PRX-29 a client that leaves within the answer, or within its body, cancels the call', async (t) => {
  const world = await start(t)
  world.upstream.handler = (_request, response) => { response.write('first') }
  for (const method of ['GET', 'POST']) {
    const coming = world.upstream.nextRequest()
    const request = open(world, method)
    request.on('error', () => {})
    if (method === 'POST') request.write('some')
    else request.end()
    const recorded = await coming
    const answer = await answerOf(request)
    answer.on('error', () => {})
    request.destroy()
    await recorded.closed
    t.ok(recorded.aborted, method)
  }
})

t.test('PRX-29 an upstream is read no faster than the browser reads', async (t) => {
  const world = await start(t)
  const total = 64 * 1024 * 1024
  let sent = 0
  world.upstream.handler = (_request, response) => {
    const chunk = Buffer.alloc(1024 * 1024)
    const more = (): void => {
      while (sent < total) {
        sent += chunk.length
        if (!response.write(chunk)) {
          response.once('drain', more)
          return
        }
      }
      response.end()
    }
    more()
  }
  const request = open(world, 'GET')
  request.end()
  const answer = await answerOf(request)
  let before = -1
  while (sent !== before) {
    before = sent
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  t.ok(sent < total / 2, `${sent} bytes were taken from the upstream`)
  let received = 0
  for await (const chunk of answer) received += (chunk as Buffer).length
  t.equal(received, total)
})

t.test('PRX-29 a browser is read no faster than the upstream reads', async (t) => {
  const world = await start(t, { body_limit: '100mb', timeout: '2s' }, { bodyStall: 1000 }, { readBodies: false })
  const total = 64 * 1024 * 1024
  world.upstream.handler = () => {}
  const coming = world.upstream.nextRequest()
  const request = open(world, 'POST', { 'content-length': String(total) })
  let sent = 0
  const chunk = Buffer.alloc(1024 * 1024)
  const more = (): void => {
    while (sent < total) {
      sent += chunk.length
      if (!request.write(chunk)) {
        request.once('drain', more)
        return
      }
    }
    request.end()
  }
  more()
  await coming
  let before = -1
  while (sent !== before) {
    before = sent
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  t.ok(sent < total / 2, `${sent} bytes were taken from the browser`)
  request.on('error', () => {})
  request.destroy()
})

t.test('WSS-08 server-sent events flow at once, headers first, and are not cut by the timeout', async (t) => {
  const world = await start(t, { timeout: '1s' })
  let push: (text: string) => void = () => {}
  world.upstream.handler = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    push = (text) => { response.write(text) }
  }
  const request = open(world, 'GET', { accept: 'text/event-stream', 'last-event-id': '41' })
  request.end()
  const answer = await answerOf(request)
  t.equal(answer.headers['content-type'], 'text/event-stream')
  t.equal(answer.headers['cache-control'], 'no-store')
  t.equal(world.upstream.requests[0]?.headers['last-event-id'], '41')
  await new Promise((resolve) => setTimeout(resolve, 2100))
  for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
    push(text)
    const [chunk] = await once(answer, 'data') as [Buffer]
    t.equal(String(chunk), text)
  }
  request.destroy()
})

t.test('WSS-08 an event stream ends when its session ends: by time, and when it is told so', async (t) => {
  const world = await start(t)
  world.upstream.handler = (_request, response) => { response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n') }
  const now = Math.floor(Date.now() / 1000)
  for (const expiresAt of [now + 2, now + 100]) {
    const cookie = await sessionCookie(world.built, { sid: 'a-session-of-its-own--', expiresAt })
    const request = open(world, 'GET', { cookie, accept: 'text/event-stream' })
    request.end()
    const recorded = world.upstream.nextRequest()
    const answer = await answerOf(request)
    const ended = textOf(answer)
    t.equal(world.built.app.liveStreams.size, 1)
    if (expiresAt === now + 100) t.equal(world.built.app.liveStreams.end('a-session-of-its-own--'), 1)
    t.equal(await ended, ':\n\n')
    t.ok(answer.complete, 'in good order')
    await (await recorded).closed
    t.equal(world.built.app.liveStreams.size, 0)
  }
})

t.test('PRX-18 an upstream that cannot be reached is 502, with nothing internal in it, and one line in the log', async (t) => {
  const world = await start(t)
  await world.upstream.stop()
  const answer = await fetch(`${world.built.url}/api/x?secret=1`, { headers: { cookie: world.cookie, 'x-csrf': '1' } })
  const body = await answer.text()
  t.equal(answer.status, 502)
  t.equal(answer.headers.get('bulla-error'), 'upstream_unreachable')
  t.notMatch(body, /127\.0\.0\.1|ECONN|secret/)
  const lines = world.lines.filter((line) => line.includes('upstream_unreachable'))
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0] ?? ''), { level: 40, route: '/api', path: '/api/x', method: 'GET', duration_ms: Number, cause: /ECONNREFUSED/, request_id: String })
  t.notMatch(world.lines.join(''), /secret|an-access-token/)
})

t.test('PRX-18 an upstream without an answer in time is 504', async (t) => {
  const world = await start(t, { timeout: '1s' })
  world.upstream.handler = () => {}
  const request = open(world, 'GET')
  request.end()
  const answer = await answerOf(request)
  t.equal(answer.statusCode, 504)
  t.equal(answer.headers['bulla-error'], 'upstream_timeout')
  const recorded = world.upstream.requests[0]
  await recorded?.closed
  t.ok(recorded?.aborted)
})

/** An upstream that answers every request with these bytes, and then does as told. */
async function startBytes (t: Teardown, text: string | null, then: 'end' | 'stay' | 'reset' = 'end'): Promise<{ url: string, count: () => number }> {
  let count = 0
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => {
      count += 1
      if (text !== null) socket.write(text, 'latin1')
      if (then === 'end') socket.end()
      else if (then === 'reset') setImmediate(() => { socket.resetAndDestroy() })
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, count: () => count }
}

t.test('PRX-18 PRX-30 whatever an upstream says in place of an answer is 502', async (t) => {
  const answers: Record<string, string | null> = {
    nothing: null,
    'no HTTP': 'SSH-2.0-x\r\n',
    'too many headers': `HTTP/1.1 200 OK\r\n${'X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(1000)}\r\n`,
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    'an upgrade': 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    'a bad header': 'HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n',
    'half a header': 'HTTP/1.1 200 OK\r\nX-A: '
  }
  for (const [name, text] of Object.entries(answers)) {
    const upstream = await startBytes(t, text)
    const world = await start(t, { upstream: upstream.url })
    const answer = await fetch(`${world.built.url}/api/x`, { headers: { cookie: world.cookie, 'x-csrf': '1' } })
    t.equal(answer.status, 502, name)
    t.equal(answer.headers.get('bulla-error'), 'upstream_unreachable', name)
    t.equal(upstream.count(), 1, 'not repeated')
  }
})

t.test('PRX-30 an answer that breaks off is not passed on as whole', async (t) => {
  const answers: Record<string, [string, 'end' | 'reset']> = {
    'short of its length': ['HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', 'end'],
    'in the middle of chunks': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', 'end'],
    'by a reset': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', 'reset'],
    'by a bad chunk': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n', 'end']
  }
  for (const [name, [text, then]] of Object.entries(answers)) {
    const upstream = await startBytes(t, text, then)
    const world = await start(t, { upstream: upstream.url })
    const connection = await raw(t, world, head(world, 'GET'))
    const received = await connection.closed()
    t.match(received, /^HTTP\/1\.1 (?:200|502) /, name)
    if (received.startsWith('HTTP/1.1 200')) {
      t.notMatch(received, /0\r\n\r\n$/, name)
      const lines = world.lines.filter((line) => line.includes('an answer broke off'))
      t.equal(lines.length, 1)
      t.match(JSON.parse(lines[0] ?? ''), { route: '/api', duration_ms: Number, cause: String })
    }
  }
})

t.test('bytes after the answer do not become an answer to the next request', async (t) => {
  const upstream = await startBytes(t, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil', 'stay')
  const world = await start(t, { upstream: upstream.url })
  for (let i = 0; i < 5; i++) {
    const answer = await fetch(`${world.built.url}/api/x`, { headers: { cookie: world.cookie, 'x-csrf': '1' } })
    if (answer.status === 200) t.equal(await answer.text(), 'ok')
    else t.equal(answer.status, 502)
  }
})

t.test('PRX-19 nothing is repeated by default; retry: connect repeats an idempotent call without body, once', async (t) => {
  for (const [retry, method, expected] of [['none', 'GET', 1], ['connect', 'GET', 2], ['connect', 'POST', 1], ['connect', 'DELETE', 2]] as const) {
    const upstream = await startBytes(t, null)
    const world = await start(t, { upstream: upstream.url, retry })
    const answer = await fetch(`${world.built.url}/api/x`, { method, headers: { cookie: world.cookie, 'x-csrf': '1' } })
    t.equal(answer.status, 502)
    t.equal(upstream.count(), expected, `${retry} ${method}`)
  }
})

t.test('an upstream may answer before it has read the body: the answer arrives, and the connection lives on', async (t) => {
  const world = await start(t, {}, {}, { readBodies: false })
  world.upstream.handler = (_request, response) => { response.writeHead(413, { 'content-length': '3' }).end('big') }
  const connection = await raw(t, world, head(world, 'POST', 'Content-Length: 200000') + 'a'.repeat(1000))
  await connection.until(/big$/)
  connection.send('a'.repeat(199_000))
  const rest = connection.received.length
  connection.send(head(world, 'GET'))
  while (!connection.received.slice(rest).includes('big')) await once(connection.socket, 'data')
  t.match(connection.received.slice(rest), /^HTTP\/1\.1 413 /)
  t.equal(world.upstream.requests.length, 2)
})

t.test('PRX-30 the go-ahead for a body comes when the body is wanted, and not before a refusal', async (t) => {
  const world = await start(t)
  const wanted = await raw(t, world, head(world, 'POST', 'Content-Length: 2', 'Expect: 100-continue'))
  await wanted.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/)
  wanted.send('ok')
  t.match(await wanted.until(/\}\r\n0\r\n\r\n$/), /\r\n\r\nHTTP\/1\.1 200 /)
  t.equal(world.upstream.requests[0]?.headers.expect, undefined)
  t.equal(String(world.upstream.requests[0]?.body), 'ok')
  const refused = await openRaw(t, world.port)
  refused.send('POST /api/x HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n')
  t.match(await refused.closed(), /^HTTP\/1\.1 401 [^]*connection: close/i)
  const other = await openRaw(t, world.port)
  other.send('POST /bff/logout HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n')
  await other.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/)
  other.send('a=')
  t.match(await other.until(/HTTP\/1\.1 200 [^]*\}/), /logout_url/)
})

t.test('more calls than connections and queue are 503 with Retry-After, and the others are served', async (t) => {
  const world = await start(t, {}, { poolLimits: { connections: 2, queue: 2, streams: 1 } })
  const held: Array<() => void> = []
  world.upstream.handler = (_request, response) => { held.push(() => { response.end('ok') }) }
  const get = async (accept = '*/*'): Promise<Response> => await fetch(`${world.built.url}/api/x`, { headers: { cookie: world.cookie, 'x-csrf': '1', accept } })
  const served = [get(), get(), get(), get()]
  while (world.upstream.requests.length < 2) await world.upstream.nextRequest()
  await new Promise((resolve) => setTimeout(resolve, 50))
  const refused = await get()
  t.equal(refused.status, 503)
  t.equal(refused.headers.get('bulla-error'), 'overloaded')
  t.equal(refused.headers.get('retry-after'), '1')
  const stream = get('text/event-stream')
  while (world.upstream.requests.length < 3) await world.upstream.nextRequest()
  t.equal((await get('text/event-stream')).status, 503, 'streams have places of their own')
  t.equal(world.upstream.connections, 3)
  const release = setInterval(() => { for (const end of held.splice(0)) end() }, 10)
  for (const call of [...served, stream]) t.equal((await call).status, 200)
  clearInterval(release)
})

t.test('connections to the upstream are used again', async (t) => {
  const world = await start(t)
  for (let i = 0; i < 10; i++) {
    const answer = await fetch(`${world.built.url}/api/x`, { method: i % 2 === 0 ? 'GET' : 'POST', headers: { cookie: world.cookie, 'x-csrf': '1' } })
    await answer.text()
  }
  t.equal(world.upstream.requests.length, 10)
  t.equal(world.upstream.connections, 1)
})

t.test('PRX-31 http upstreams off loopback are warned of at start', async (t) => {
  const world = await start(t, { upstream: 'http://orders.example' })
  t.match(world.lines.join(''), /without TLS/)
})
