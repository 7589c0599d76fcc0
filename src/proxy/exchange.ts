// One call in flight: what undici reads of the upstream is written at the pace at which the browser takes it.
import type { Dispatcher } from 'undici'
import { drain } from '../lib/drain.ts'
import { unwatch, watch } from './departures.ts'
import { overloaded, upstreamFailure } from './failures.ts'
import type { ForwardCall } from './forward.ts'
import type { LiveStreams } from './live.ts'
import type { Outbox } from './outbox.ts'
import type { UpstreamPool } from './pools.ts'
import type { RequestBody } from './request-body.ts'
import type { RequestFacts } from './request-headers.ts'
import { HeldAnswer, judge401, mayRepeatFor, mayRepeatOnFault } from './repeat.ts'
import { latin1 } from './response-headers.ts'
import { upstreamPath } from './routes.ts'

/** What all calls share: the open streams, the answers of this turn, where a stronger login begins. */
export interface Common { readonly live: LiveStreams, readonly outbox: Outbox, readonly loginUrl: string }

/** The most bytes of a body that are written in one piece with the header. */
const ONE_PIECE = 16 * 1024

/** Bytes that may wait for the browser before the upstream is held back: more than one piece. */
const MOST_WAITING = 128 * 1024

class ClientLeft extends Error {}

/** undici's handler of one call. Its methods run in undici's parser and must not throw. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #call: ForwardCall
  readonly #pool: UpstreamPool
  readonly #isStream: boolean
  readonly #body: RequestBody | null
  readonly #common: Common
  readonly #path: string
  #abort: ((error?: Error) => void) | null = null
  #resume: (() => void) | null = null
  #isOver = false
  #hasLeft = false
  #hasRetried = false
  #hasWritten = false
  /** Bytes of the body that are still to come, or -1. */
  #remaining = -1
  #renewed: readonly string[] | null = null
  #held: HeldAnswer | null = null
  #release: (() => void) | null = null

  constructor (
    call: ForwardCall, pool: UpstreamPool, isStream: boolean, body: RequestBody | null, common: Common
  ) {
    this.#call = call
    this.#pool = pool
    this.#isStream = isStream
    this.#body = body
    this.#common = common
    this.#path = upstreamPath(call.route, call.target)
    watch(call.request.socket, this)
  }

  start (): void {
    this.#send(this.#call.facts, this.#body)
  }

  onConnect (abort: (error?: Error) => void): void {
    this.#abort = abort
    if (this.#hasLeft) abort(new ClientLeft('the client left'))
  }

  onHeaders (status: number, raw: Buffer[], resume: () => void): boolean {
    if (status < 200) return true
    this.#resume = resume
    if (status === 401 && this.#isHeldBack(raw)) return true
    return this.#begin(status, raw)
  }

  onData (chunk: Buffer): boolean {
    if (this.#held !== null) return this.#hold(chunk)
    const { response } = this.#call
    if (this.#remaining === chunk.length) {
      this.#end()
      if (this.#hasWritten || chunk.length > ONE_PIECE) {
        response.write(chunk)
        response.socket?.uncork()
        response.end()
      } else this.#common.outbox.add(response, latin1(chunk))
      return true
    }
    if (this.#remaining > 0) this.#remaining -= chunk.length
    this.#hasWritten = true
    if (response.write(chunk) || response.writableLength < MOST_WAITING) return true
    // Nothing comes before it is resumed: there is one listener at a time.
    response.once('drain', () => { if (!this.#isOver) this.#resume?.() })
    return false
  }

  onComplete (): void {
    this.#pool.release(this.#isStream)
    if (this.#held !== null) return this.#renew(this.#held)
    if (!this.#isOver) {
      this.#end()
      this.#call.response.end()
    }
    this.#leaveBody()
  }

  onError (error: Error): void {
    const { response } = this.#call
    this.#pool.release(this.#isStream)
    if (this.#isOver || this.#hasLeft) return
    if (!response.headersSent && !this.#hasRetried && mayRepeatOnFault(this.#call, this.#body, error)) {
      this.#hasRetried = true
      this.#held = null
      this.#again(this.#call.facts)
      return
    }
    this.#end()
    if (response.headersSent) {
      // A browser must see that this is not all: the connection ends, and nothing is silently short.
      response.destroy()
      this.#call.cut(error)
    } else {
      this.#call.failed(upstreamFailure(error))
    }
  }

  /** The browser's connection has gone before the end. */
  left (): void {
    this.#hasLeft = true
    this.#release?.()
    this.#release = null
    this.#abort?.(new ClientLeft('the client left'))
  }

  flush (): void {
    if (!this.#isOver && !this.#hasWritten) this.#call.response.flushHeaders()
  }

  #begin (status: number, raw: readonly Buffer[]): boolean {
    const { route, response, cors, session, setCookies } = this.#call
    const head = route.responseHeaders.build(raw, status, this.#path, this.#renewed ?? setCookies, cors)
    if (head.isEventStream && status < 300 && session !== null) {
      this.#release = this.#common.live.add(session, () => { this.#endStream() })
      if (this.#release === null) {
        this.#abort?.(overloaded())
        return true
      }
    }
    response.writeHead(status, head.headers)
    this.#remaining = head.contentLength
    if (head.contentLength < 0) process.nextTick(flush, this)
    return true
  }

  /** The session is over: so is the stream, in good order, unless it has promised more. */
  #endStream (): void {
    this.#release = null
    this.#end()
    if (this.#remaining > 0) this.#call.response.destroy()
    else this.#call.response.end()
    this.#abort?.(new ClientLeft('the session ended'))
  }

  /** Whether a 401 is not for the browser: another login is wanted, or another token may do. */
  #isHeldBack (raw: readonly Buffer[]): boolean {
    if (this.#call.facts.accessToken === null) return false
    const mayRepeat = !this.#hasRetried && mayRepeatFor(this.#call.request, this.#body)
    const verdict = judge401(raw, mayRepeat, this.#common.loginUrl)
    if (verdict instanceof HeldAnswer) this.#held = verdict
    else if (verdict !== null) this.#abort?.(verdict)
    return verdict !== null
  }

  #hold (chunk: Buffer): boolean {
    const held = this.#held
    if (held === null || held.add(chunk)) return true
    // Too large to wait with: it passes as it is.
    this.#held = null
    this.#begin(401, held.headers)
    return this.onData(held.body())
  }

  #renew (held: HeldAnswer): void {
    this.#hasRetried = true
    this.#call.renewed().then((renewed) => {
      this.#held = null
      if (this.#hasLeft) return
      if (renewed === null) return this.#pass(held)
      this.#renewed = renewed.setCookies
      if (renewed.accessToken === this.#call.facts.accessToken) return this.#pass(held)
      this.#again({ ...this.#call.facts, accessToken: renewed.accessToken })
    }).catch((error: unknown) => {
      this.#end()
      if (!this.#hasLeft) this.#call.failed(upstreamFailure(error))
    })
  }

  /** The 401 goes to the browser after all. */
  #pass (held: HeldAnswer): void {
    this.#begin(401, held.headers)
    this.#end()
    this.#call.response.end(held.body())
  }

  #again (facts: RequestFacts): void {
    if (!this.#pool.take(this.#isStream)) {
      this.#end()
      this.#call.failed(overloaded())
      return
    }
    this.#abort = null
    this.#send(facts, null)
  }

  #send (facts: RequestFacts, body: RequestBody | null): void {
    const { request, route } = this.#call
    const { headers } = request
    const hasLength = body !== null && headers['transfer-encoding'] === undefined
    this.#pool.dispatch(this.#isStream, {
      path: this.#path,
      method: request.method as Dispatcher.HttpMethod,
      headers: route.requestHeaders.build(request.rawHeaders, headers.connection, hasLength, facts),
      body,
      headersTimeout: route.timeout
    }, this)
  }

  /** The answer is decided: whether the browser stays no longer matters. */
  #end (): void {
    this.#isOver = true
    unwatch(this.#call.request.socket, this)
    this.#release?.()
    this.#release = null
  }

  /** The upstream answered before it had read everything: the rest is read away, within bounds. */
  #leaveBody (): void {
    if (this.#body === null || this.#body.readableEnded) return
    this.#body.destroy()
    drain(this.#body.request)
  }
}

function flush (exchange: Exchange): void { exchange.flush() }
