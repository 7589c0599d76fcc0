// Mixed traffic for minutes: memory stays flat, no socket stays open, nothing is left unhandled.
import { once } from 'node:events'
import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { parseArgs } from 'node:util'
import type { Server } from '../src/server.ts'
import { bullaFor, cookiesFor, someKey } from './bulla.ts'

const { values } = parseArgs({
  options: { smoke: { type: 'boolean', default: false }, seconds: { type: 'string' }, workers: { type: 'string', default: '24' } }
})
const SECONDS = Number(values.seconds ?? (values.smoke ? 6 : 300))
const SESSIONS = values.smoke ? 200 : 5_000
const BIG = Buffer.alloc(2 * 1024 * 1024, 'x')

/** Too large for its route, and small enough for the connection to live on: the rest is read away. */
const REFUSED = Buffer.alloc(256 * 1024, 'x')

/** How much more memory the second half may hold than the first: what is not garbage must not grow. */
const MOST_GROWTH = values.smoke ? 1.5 : 1.1

/** What one call is to look like. `leaves`: bytes of the answer after which the client goes. */
interface Traffic {
  readonly method?: string
  readonly path: string
  readonly body?: Buffer
  readonly headers?: Readonly<Record<string, string>>
  readonly leaves?: number
  readonly expect: readonly number[]
}

const TRAFFIC: Record<string, Traffic> = {
  small: { path: '/api/small', expect: [200] },
  'big answer': { path: '/api/big', expect: [200] },
  upload: { method: 'POST', path: '/api/upload', body: BIG, expect: [200] },
  'too large': { method: 'POST', path: '/tight/upload', body: REFUSED, expect: [413] },
  'leaves early': { path: '/api/big', leaves: 1, expect: [200] },
  'leaves unanswered': { path: '/api/silent', leaves: 0, expect: [] },
  events: { path: '/api/events', headers: { accept: 'text/event-stream' }, leaves: 64, expect: [200] },
  'breaks off': { path: '/api/broken', expect: [200] },
  'no answer': { path: '/api/reset', expect: [502] },
  'nobody there': { path: '/gone/x', expect: [502] },
  'no CSRF header': { path: '/api/small', headers: { 'x-csrf': '' }, expect: [403] },
  'no session': { path: '/api/small', headers: { cookie: 'bulla.0=nonsense' }, expect: [401] },
  'bad path': { path: '/api/%2e%2e/x', expect: [400] }
}
const KINDS = Object.keys(TRAFFIC)

const unhandled: unknown[] = []
process.on('unhandledRejection', (reason) => { unhandled.push(reason) })
process.on('uncaughtException', (error) => { unhandled.push(error) })

const upstream = createServer(answer).listen(0, '127.0.0.1')
await once(upstream, 'listening')
const bulla = await start((upstream.address() as AddressInfo).port)
const cookies = await cookiesFor(bulla.server, SESSIONS)
const browserSockets = new Set<Socket>()
bulla.server.app.server.on('connection', (socket: Socket) => {
  browserSockets.add(socket)
  socket.once('close', () => { browserSockets.delete(socket) })
})
const agent = new Agent({ keepAlive: true, maxSockets: 256 })
const counts = new Map<string, number>()
const wrong = new Map<string, number>()
const end = performance.now() + SECONDS * 1000
const samples: number[] = []

const timer = setInterval(sample, SECONDS * 1000 / 40)
await Promise.all(Array.from({ length: Number(values.workers) }, async (_, worker) => { await work(worker) }))
clearInterval(timer)
agent.destroy()
await allClosed(browserSockets)
const [browsers, apis] = await Promise.all([connections(bulla.server.app.server), connections(upstream)])
await bulla.server.close()
upstream.close()
upstream.closeAllConnections()
report()

/** The API: fast and slow, whole and broken. */
function answer (incoming: IncomingMessage, response: ServerResponse): void {
  const path = incoming.url ?? ''
  if (path.endsWith('/big')) response.writeHead(200, { 'content-length': BIG.length }).end(BIG)
  else if (path.endsWith('/upload')) incoming.resume().on('end', () => { response.end('{}') })
  else if (path.endsWith('/silent')) response.on('close', () => { response.destroy() })
  else if (path.endsWith('/reset')) incoming.socket.destroy()
  else if (path.endsWith('/broken')) {
    response.writeHead(200, { 'content-length': 1000 }).write('begun')
    setImmediate(() => { response.destroy() })
  } else if (path.endsWith('/events')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const ticker = setInterval(() => { response.write('data: tick tick tick\n\n') }, 5)
    response.on('close', () => { clearInterval(ticker) })
  } else response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
}

async function start (api: number): Promise<{ server: Server, port: number }> {
  const server = await bullaFor(someKey(), [
    { prefix: '/api', upstream: `http://127.0.0.1:${api}` },
    { prefix: '/tight', upstream: `http://127.0.0.1:${api}`, body_limit: 1000 },
    { prefix: '/gone', upstream: 'http://127.0.0.1:9' }
  ])
  return { server, port: Number(new URL((await server.listen()).url).port) }
}

async function work (worker: number): Promise<void> {
  for (let turn = worker; performance.now() < end; turn++) {
    const kind = KINDS[turn % KINDS.length] as string
    const traffic = TRAFFIC[kind] as Traffic
    const status = await call(traffic, cookies[turn * 7919 % cookies.length] ?? '')
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    if (traffic.expect.length > 0 && !traffic.expect.includes(status)) {
      wrong.set(`${kind}: ${status}`, (wrong.get(`${kind}: ${status}`) ?? 0) + 1)
    }
  }
}

/** One call. @returns its status, or 0 if there was none */
async function call (traffic: Traffic, cookie: string): Promise<number> {
  return await new Promise((resolve) => {
    const { method = 'GET', path, body, leaves } = traffic
    const headers = { cookie, 'x-csrf': '1', ...traffic.headers }
    let status = 0
    const outgoing = request({ host: '127.0.0.1', port: bulla.port, method, path, headers, agent }, (response) => {
      status = response.statusCode ?? 0
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (leaves !== undefined && size >= leaves) outgoing.destroy()
      })
      response.on('error', () => {})
    })
    outgoing.on('error', () => {})
    outgoing.on('close', () => { resolve(status) })
    if (leaves === 0) setTimeout(() => { outgoing.destroy() }, 20)
    outgoing.end(body)
  })
}

function sample (): void {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  samples.push(heapUsed + external)
}

/** What is open after some seconds, although its other end has gone, has leaked. */
async function allClosed (sockets: ReadonlySet<Socket>): Promise<void> {
  const late = new Promise((resolve) => { setTimeout(resolve, 5_000).unref() })
  const closed = [...sockets].map(async (socket) => { await once(socket, 'close') })
  await Promise.race([Promise.all(closed), late])
}

async function connections (server: Server['app']['server']): Promise<number> {
  return await new Promise((resolve) => { server.getConnections((_error, count) => { resolve(count) }) })
}

function report (): void {
  const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, number) => total + number, 0)
  const mean = (part: readonly number[]): number => sum(part) / part.length / 1e6
  const warm = samples.slice(Math.floor(samples.length / 5))
  const half = Math.floor(warm.length / 2)
  const [before, after] = [mean(warm.slice(0, half)), mean(warm.slice(half))]
  const kinds = [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')
  console.log(`${sum(counts.values())} calls in ${SECONDS} s: ${kinds}`)
  const amiss = [...wrong].map(([what, count]) => `${what} × ${count}`).join(', ')
  const memory = `${before.toFixed(1)} → ${after.toFixed(1)} MB`
  const rows: Array<[string, string, boolean]> = [
    ['memory held, first and second half', memory, after < before * MOST_GROWTH],
    ['connections of browsers left', String(browsers), browsers === 0],
    ['connections to the API left', `${apis} (kept alive, 256 at most)`, apis <= 256],
    ['unexpected answers', amiss === '' ? 'none' : amiss, amiss === ''],
    ['unhandled', unhandled.map(String).join('; ') || 'nothing', unhandled.length === 0]
  ]
  for (const [what, measured, holds] of rows) {
    console.log(`| ${what} | ${measured} | ${holds ? 'holds' : 'FALLS SHORT'} |`)
  }
  process.exitCode = rows.every(([, , holds]) => holds) ? 0 : 1
}
