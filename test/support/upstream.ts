// An API that records byte for byte what reaches it, answers as the test says, and echoes WebSockets.
import { once } from 'node:events'
import {
  createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Teardown } from './build.ts'

/** A request as it came in. */
export interface RecordedRequest {
  readonly method: string
  /** Path and query, byte for byte. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** Names and values as sent, in order, one after the other. */
  readonly rawHeaders: readonly string[]
  /** The body so far; all of it once `ended` is true. */
  readonly body: Buffer
  readonly ended: boolean
  /** The caller left before the answer was complete. */
  readonly aborted: boolean
  /** Settles when the caller is gone or the answer is complete. */
  readonly closed: Promise<void>
}

/** Answers a request. After the request's `end` event, `recorded.body` holds all of its body. */
export type UpstreamHandler = (
  request: IncomingMessage, response: ServerResponse, recorded: RecordedRequest
) => unknown

/** A running upstream. */
export interface Upstream {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  readonly requests: RecordedRequest[]
  /** The handshakes of WebSockets, which `requests` does not hold. */
  readonly handshakes: Array<{ url: string, headers: IncomingHttpHeaders, rawHeaders: readonly string[] }>
  /** The sockets that are or were open. */
  readonly sockets: WebSocket[]
  /** Connections accepted so far. */
  readonly connections: number
  /** What answers from now on. */
  handler: UpstreamHandler
  /** Answers every handshake with this status instead of 101. */
  refuseSocketsWith: number | null
  /** The next request that comes in; one that is already recorded does not count. */
  nextRequest(): Promise<RecordedRequest>
  /** The next WebSocket that is opened. */
  nextSocket(): Promise<WebSocket>
  stop(): Promise<void>
  start(): Promise<void>
}

/** What an upstream may be told at its start. */
export interface UpstreamOptions {
  /** Reads every body at once (default); `false` leaves that to the handler, e.g. to see back-pressure. */
  readBodies?: boolean
}

/** Answers 200 with what it saw, as JSON. */
export const echo: UpstreamHandler = (request, response, recorded) => {
  const { method, url, headers } = recorded
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ method, url, headers, body: String(recorded.body) }))
  })
}

/**
 * Starts an upstream on loopback.
 * @param t ends it
 * @param handler default: {@link echo}
 */
export async function startUpstream (
  t: Teardown, handler: UpstreamHandler = echo, { readBodies = true }: UpstreamOptions = {}
): Promise<Upstream> {
  const server = createServer({ maxHeaderSize: 65_536 })
  const requestWaiters: Array<(request: RecordedRequest) => void> = []
  const socketWaiters: Array<(socket: WebSocket) => void> = []
  let connections = 0

  server.on('connection', () => { connections += 1 })
  server.on('request', (request, response) => {
    const recorded = record(request, response)
    if (readBodies) request.resume()
    upstream.requests.push(recorded)
    for (const resolve of requestWaiters.splice(0)) resolve(recorded)
    upstream.handler(request, response, recorded)
  })
  acceptSockets(server, () => upstream, socketWaiters)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const upstream: Upstream = {
    url: `http://127.0.0.1:${port}`,
    port,
    requests: [],
    handshakes: [],
    sockets: [],
    handler,
    refuseSocketsWith: null,
    get connections () { return connections },
    nextRequest: () => new Promise((resolve) => { requestWaiters.push(resolve) }),
    nextSocket: () => new Promise((resolve) => { socketWaiters.push(resolve) }),
    stop: () => stop(server, upstream.sockets),
    start: async () => {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    }
  }
  t.teardown(() => upstream.stop())
  return upstream
}

/** Records the handshakes, and echoes every message. */
function acceptSockets (
  server: Server, upstream: () => Upstream, waiters: Array<(socket: WebSocket) => void>
): void {
  const handleProtocols = (offered: Set<string>) => [...offered][0] ?? false
  const webSockets = new WebSocketServer({ noServer: true, handleProtocols })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { url = '', headers, rawHeaders } = request
    const { handshakes, sockets, refuseSocketsWith } = upstream()
    handshakes.push({ url, headers, rawHeaders })
    if (refuseSocketsWith !== null) {
      socket.end(`HTTP/1.1 ${refuseSocketsWith} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
      return
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('message', (data, isBinary) => webSocket.send(data, { binary: isBinary }))
      sockets.push(webSocket)
      for (const resolve of waiters.splice(0)) resolve(webSocket)
    })
  })
}

async function stop (server: Server, sockets: readonly WebSocket[]): Promise<void> {
  if (!server.listening) return
  for (const socket of sockets) socket.terminate()
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

/** Looks at the body as the parser hands it over, so that reading it stays with the handler. */
function record (request: IncomingMessage, response: ServerResponse): RecordedRequest {
  const chunks: Buffer[] = []
  const push = request.push
  request.push = function (chunk: Buffer | null, ...rest) {
    if (chunk !== null) chunks.push(chunk)
    return push.call(this, chunk, ...rest)
  }
  const recorded: RecordedRequest = {
    method: request.method ?? '',
    url: request.url ?? '',
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    get body () { return Buffer.concat(chunks) },
    get ended () { return request.complete },
    get aborted () { return response.closed && !response.writableFinished },
    closed: new Promise((resolve) => response.on('close', resolve))
  }
  return recorded
}
