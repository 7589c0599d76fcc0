// WebSockets: what http-proxy leaves open. Bounded queues, one size limit, pings, and an end with the
// session.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { LiveStreams, StreamSession } from './live.ts'

/** Sent when the session is over. */
export const CLOSE_SESSION_OVER = 4401
/** @see https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
export const CLOSE_TOO_BIG = 1009
const CLOSE_TRY_AGAIN = 1013

/** Bytes that may wait in one direction before its sender is paused. */
const HIGH_WATER = 1024 * 1024
/** Milliseconds between looks at a full queue. */
const LOOK_AGAIN = 20
const PING_EVERY = 30_000

/** Headers that the WebSocket handshake to the upstream makes anew. */
const HANDSHAKE = /^(?:sec-websocket-|host$|content-length$)/

/** What is known of a handshake when its socket opens. */
export interface Handshake {
  readonly session: StreamSession | null
  readonly accessToken: string | null
  /** `Set-Cookie` values that the 101 carries. */
  readonly setCookies: readonly string[]
}

/** Holds what the handshake decided until the socket is there. */
const handshakes = new WeakMap<Duplex, Handshake>()

/**
 * Notes what the handshake decided.
 *
 * @param request the upgrade
 * @param handshake what was decided
 */
export function noteHandshake (request: IncomingMessage, handshake: Handshake): void {
  handshakes.set(request.socket, handshake)
}

/**
 * The token that the upstream's handshake carries. It is the last that is asked of a handshake, which is then
 * forgotten: sockets live for hours, and keep no token alive.
 *
 * @param request the upgrade
 */
export function takeHandshakeToken (request: IncomingMessage): string | null {
  const handshake = handshakes.get(request.socket)
  handshakes.delete(request.socket)
  return handshake?.accessToken ?? null
}

/**
 * The `Set-Cookie` lines that a 101 carries.
 *
 * @param request the upgrade
 */
export function handshakeCookies (request: IncomingMessage): string[] {
  return (handshakes.get(request.socket)?.setCookies ?? []).map((cookie) => `Set-Cookie: ${cookie}`)
}

/** ws calls this with the connection; its types do not say so. */
interface Attachable { setSocket (socket: Duplex, head: Buffer, options: object): void }
const Base = WebSocket as unknown as new (...args: unknown[]) => WebSocket & Attachable

/**
 * The class of the browsers' sockets of a deployment.
 *
 * @param live where open sockets are noted
 */
export function browserSocketClass (live: LiveStreams): typeof WebSocket {
  class BrowserSocket extends Base {
    override setSocket (socket: Duplex, head: Buffer, options: object): void {
      super.setSocket(socket, head, options)
      // Nothing is read before the upstream has taken the socket, so nothing queues up.
      this.pause()
      keepAlive(this, socket)
      bindToSession(this, handshakes.get(socket)?.session ?? null, live)
    }

    /** A paused socket would never read the other side's consent. */
    override close (code?: number, reason?: string): void {
      super.close(code, reason)
      if (this.isPaused) this.resume()
    }
  }
  return BrowserSocket as unknown as typeof WebSocket
}

/** "Going away": nobody is there any more to speak for. */
const CLOSE_GOING_AWAY = 1001

/**
 * Starts a pair of sockets: to be called once the upstream has opened its own. If the browser's was closed
 * meanwhile, as its session ended, the upstream's is closed.
 *
 * @param source the browser's
 * @param target the upstream's
 */
export function join (source: WebSocket, target: WebSocket): void {
  if (source.readyState !== WebSocket.OPEN) {
    target.close(CLOSE_GOING_AWAY)
    return
  }
  target.prependListener('error', (error: Error & { code?: string }) => {
    if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') source.close(CLOSE_TOO_BIG)
  })
  source.resume()
}

/**
 * Pauses a sender whose messages the other side does not take, until it does. To be called with each message.
 *
 * @param from where messages come from
 * @param to where they go
 */
export function holdBack (from: WebSocket, to: WebSocket): void {
  if (to.bufferedAmount < HIGH_WATER || from.isPaused) return
  from.pause()
  const look = setInterval(() => {
    const isOpen = to.readyState === WebSocket.OPEN
    if (isOpen && to.bufferedAmount >= HIGH_WATER / 2) return
    clearInterval(look)
    from.resume()
  }, LOOK_AGAIN)
  look.unref()
}

/**
 * The headers of the upstream's handshake.
 *
 * @param headers of the forwarded request, flat
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.1
 */
export function handshakeHeaders (headers: readonly string[]): Record<string, string> {
  const result: Record<string, string> = {}
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? ''
    if (HANDSHAKE.test(name)) continue
    const value = headers[i + 1] ?? ''
    result[name] = name in result ? `${result[name]}, ${value}` : value
  }
  return result
}

function bindToSession (socket: WebSocket, session: StreamSession | null, live: LiveStreams): void {
  if (session === null) return
  const release = live.add(session, () => { socket.close(CLOSE_SESSION_OVER, 'the session is over') })
  if (release === null) socket.close(CLOSE_TRY_AGAIN, 'too many sockets')
  else socket.once('close', release)
}

/**
 * A browser that has gone without a word is noticed: nothing came of it for a while, not even the answer
 * to a ping.
 */
function keepAlive (webSocket: WebSocket, socket: Duplex & { readonly bytesRead?: number }): void {
  let seen = -1
  const timer = setInterval(() => {
    const read = socket.bytesRead ?? 0
    if (read === seen && !webSocket.isPaused) {
      webSocket.terminate()
      return
    }
    seen = read
    if (webSocket.readyState === WebSocket.OPEN) webSocket.ping()
  }, PING_EVERY).unref()
  webSocket.once('close', () => { clearInterval(timer) })
}
