// One part of an aggregate: a call whose answer is collected, within bounds, and not written to the browser.
import { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { BullaError } from '../lib/errors.ts'
import { unwatch, watch, type Connection, type Departing } from './departures.ts'
import { upstreamFailure } from './failures.ts'
import type { CallRequest, CallResponse, ForwardCall, Forwarder, Renewed } from './forward.ts'
import type { StreamSession } from './live.ts'
import type { Target } from './paths.ts'
import type { RequestFacts } from './request-headers.ts'
import type { Route } from './routes.ts'

/** A call that is made for an aggregate. */
export interface Part {
  readonly route: Route
  readonly target: Target
}

/** Whose call it is, and what it carries. */
export interface PartContext {
  /** The browser's headers, of which {@link partHeaders} go with the part. */
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  /** The browser's connection: who leaves cancels the part. */
  readonly connection: Connection
  readonly facts: RequestFacts
  readonly session: StreamSession | null
  /** Another token, after an upstream's `invalid_token`; `null` if there is none to be had. */
  renewed (): Promise<Renewed | null>
}

/** The answer of a part. */
export interface PartAnswer {
  readonly status: number
  /** JSON text: the body if it is JSON, else a string of it; `null` if it is empty. */
  readonly body: string
}

/** The most bytes of the body of a part. */
export const PART_LIMIT = 1024 * 1024

/** Milliseconds for a part whose route has no limit. */
const DEFAULT_TIMEOUT = 30_000

/** Headers that speak of the one answer that the browser waits for: a part is fetched anew, and as it is. */
const NOT_FOR_PARTS =
  /^(?:accept|accept-encoding|range|if-[a-z-]+|content-[a-z-]+|connection|cache-control|pragma|last-event-id)$/

/** What of the browser's headers goes with a part. */
function partHeaders (raw: readonly string[]): string[] {
  const headers = ['accept', 'application/json', 'accept-encoding', 'identity']
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (!NOT_FOR_PARTS.test(name.toLowerCase())) headers.push(name, raw[i + 1] ?? '')
  }
  return headers
}

/**
 * Makes the call of a part: the same way through the forwarder that any call goes.
 *
 * @param forwarder of the deployment
 * @param part the call
 * @param context whose call it is
 * @returns what the upstream answered, whatever its status
 * @throws {BullaError} `upstream_unreachable` (an answer that cannot be part of an aggregate, too),
 * `upstream_timeout` (the whole answer counts), `overloaded`, `step_up_required`
 */
export async function callPart (forwarder: Forwarder, part: Part, context: PartContext): Promise<PartAnswer> {
  return await new Promise((resolve, reject) => {
    const call = new PartCall(part, context, resolve, reject)
    try {
      forwarder.forward(call)
    } catch (error) {
      call.failed(upstreamFailure(error))
    }
  })
}

class PartCall implements ForwardCall, Departing {
  readonly request: CallRequest
  readonly response: CollectedResponse
  readonly route: Route
  readonly target: Target
  readonly facts: RequestFacts
  readonly session: StreamSession | null
  readonly setCookies = []
  readonly cors = null
  readonly renewed: () => Promise<Renewed | null>
  readonly #connection = new EventEmitter()
  readonly #browser: Connection
  readonly #resolve: (answer: PartAnswer) => void
  readonly #reject: (error: BullaError) => void
  readonly #timer: NodeJS.Timeout

  constructor (
    { route, target }: Part, context: PartContext,
    resolve: (answer: PartAnswer) => void, reject: (error: BullaError) => void
  ) {
    this.route = route
    this.target = target
    this.facts = context.facts
    this.session = context.session
    this.renewed = async () => await context.renewed()
    const { connection } = context.headers
    this.request = {
      method: 'GET',
      // PRX-01: what the browser names there goes no further in a part either.
      headers: connection === undefined ? {} : { connection },
      rawHeaders: partHeaders(context.rawHeaders),
      socket: this.#connection
    }
    this.response = new CollectedResponse((error) => { this.#done(error) })
    this.#browser = context.connection
    this.#resolve = resolve
    this.#reject = reject
    const timeout = route.timeout === 0 ? DEFAULT_TIMEOUT : route.timeout
    this.#timer = setTimeout(() => { this.#cancel(new BullaError('upstream_timeout')) }, timeout).unref()
    watch(this.#browser, this)
  }

  failed (error: BullaError): void { this.#done(error) }

  cut (cause: Error): void { this.#done(upstreamFailure(cause)) }

  left (): void { this.#cancel(upstreamFailure(new Error('the client left'))) }

  /** To the forwarder it is as if a browser had gone. */
  #cancel (error: BullaError): void {
    this.#connection.emit('close')
    this.#done(error)
  }

  #done (error: BullaError | null): void {
    clearTimeout(this.#timer)
    unwatch(this.#browser, this)
    if (error !== null) {
      if (this.response.isTooLarge) this.#connection.emit('close')
      this.#reject(error)
      return
    }
    try {
      this.#resolve(this.response.answer())
    } catch (fault) {
      this.#reject(upstreamFailure(fault))
    }
  }
}

/** Takes the place of a response, as far as the forwarder writes to one. */
class CollectedResponse implements CallResponse {
  headersSent = false
  destroyed = false
  writableEnded = false
  isTooLarge = false
  readonly writableLength = 0
  readonly socket = null
  readonly #chunks: Buffer[] = []
  readonly #onDone: (error: BullaError | null) => void
  #size = 0
  #status = 0
  #contentType = ''
  #isEncoded = false

  constructor (onDone: (error: BullaError | null) => void) {
    this.#onDone = onDone
  }

  writeHead (status: number, headers: Array<string | string[]>): void {
    this.headersSent = true
    this.#status = status
    for (let i = 0; i < headers.length; i += 2) {
      const value = String(headers[i + 1])
      if (headers[i] === 'content-type') this.#contentType = value
      else if (headers[i] === 'content-encoding') this.#isEncoded = value.toLowerCase() !== 'identity'
    }
  }

  flushHeaders (): void {}

  write (chunk: Buffer | string, encoding: BufferEncoding = 'latin1'): boolean {
    if (this.isTooLarge) return true
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
    this.#size += bytes.length
    if (this.#size > PART_LIMIT) {
      this.isTooLarge = true
      this.#chunks.length = 0
      this.#onDone(upstreamFailure(new Error(`the answer has more than ${PART_LIMIT} bytes`)))
    } else this.#chunks.push(bytes)
    return true
  }

  end (chunk?: Buffer): void {
    if (chunk !== undefined) this.write(chunk)
    this.writableEnded = true
    if (!this.isTooLarge) this.#onDone(null)
  }

  destroy (): void { this.destroyed = true }

  /** Nothing is ever held back: there is no drain to wait for. */
  once (): void {}

  /** @throws if it cannot be part of an aggregate */
  answer (): PartAnswer {
    const status = this.#status
    if (!(status >= 200 && status < 300) && !(status >= 400 && status < 600)) {
      throw new Error(`an answer of status ${status} cannot be part of an aggregate`)
    }
    if (this.#isEncoded) throw new Error('the answer is encoded, which it was not asked to be')
    const text = new TextDecoder().decode(Buffer.concat(this.#chunks))
    if (text === '') return { status, body: 'null' }
    if (isJson(this.#contentType, text)) return { status, body: text }
    const body = JSON.stringify(text)
    if (body.length > 2 * PART_LIMIT) throw new Error('the answer is neither JSON nor text')
    return { status, body }
  }
}

/** Only looked at: the text itself goes on, so that numbers keep their digits. */
function isJson (contentType: string, text: string): boolean {
  if (!/^\s*application\/(?:[\w.!#$&^-]+\+)?json\s*(?:;|$)/i.test(contentType)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
