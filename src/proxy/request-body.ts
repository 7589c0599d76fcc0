// The body of a forwarded request: a stream that ends at the size limit and does not wait for a stalled
// sender.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { BullaError } from '../lib/errors.ts'
import { sendContinue } from './expect.ts'

/** Milliseconds that a sender may stall. */
export const BODY_STALL = 30_000

/** Bytes that may wait for the upstream before the browser is held back: more than one piece. */
const MOST_WAITING = 256 * 1024

/** What a body may be. */
export interface BodyLimits {
  /** The most bytes. */
  readonly limit: number
  /** Milliseconds between two pieces. */
  readonly stall: number
}

/**
 * Whether a request has a body.
 *
 * @param request as it came
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 */
export function hasBody (request: Pick<IncomingMessage, 'headers'>): request is IncomingMessage {
  const { headers } = request
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/** Streams a request's body at the pace of its reader. Fails with `body_too_large` or `request_timeout`. */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #limit: number
  readonly #stall: number
  #size = 0
  #timer: NodeJS.Timeout | null = null
  #isReading = false

  constructor (request: IncomingMessage, response: ServerResponse, limits: BodyLimits) {
    super({ highWaterMark: MOST_WAITING })
    this.#request = request
    this.#response = response
    this.#limit = limits.limit
    this.#stall = limits.stall
    // Whoever reads it may have let go of it: an error is nobody's then, and must not end the process.
    this.on('error', ignore)
  }

  /** Whose body it is. */
  get request (): IncomingMessage { return this.#request }

  override _read (): void {
    if (this.#isReading) this.#request.resume()
    else this.#start()
    this.#await()
  }

  override _destroy (error: Error | null, done: (error: Error | null) => void): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    const request = this.#request
    request.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', this.#onClose)
    // What follows is the business of whoever answers.
    request.on('error', ignore)
    request.pause()
    done(error)
  }

  #start (): void {
    this.#isReading = true
    sendContinue(this.#request, this.#response)
    this.#request.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onClose)
  }

  #await (): void {
    if (this.#timer === null) this.#timer = setTimeout(this.#onStall, this.#stall).unref()
    else this.#timer.refresh()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#size += chunk.length
    if (this.#size > this.#limit) {
      this.destroy(new BullaError('body_too_large', { detail: `The limit is ${this.#limit} bytes.` }))
    } else if (this.push(chunk)) {
      this.#await()
    } else {
      // The upstream is slow now, not the sender.
      this.#request.pause()
      if (this.#timer !== null) clearTimeout(this.#timer)
      this.#timer = null
    }
  }

  readonly #onEnd = (): void => {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.push(null)
  }

  readonly #onClose = (): void => {
    if (!this.readableEnded && !this.#request.complete) this.destroy(new Error('the client left while it sent its body'))
  }

  readonly #onStall = (): void => {
    this.destroy(new BullaError('request_timeout', { detail: 'The body stalled.' }))
  }
}

function ignore (): void {}
