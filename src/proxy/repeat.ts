// Which calls may be sent a second time, and the answer that waits while another token is fetched.
import type { IncomingMessage } from 'node:http'
import { BullaError } from '../lib/errors.ts'
import { readChallenge, stepUpUrl } from './challenge.ts'
import { isConnectionFault } from './failures.ts'
import type { ForwardCall } from './forward.ts'
import type { RequestBody } from './request-body.ts'
import { headerOf } from './response-headers.ts'

/** Methods whose requests may be repeated. @see https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2 */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** The most bytes of a refused answer that are kept. */
const MOST_HELD = 64 * 1024

/**
 * Whether a call may be repeated with another token.
 *
 * @param request the call
 * @param body its body, or `null`
 */
export function mayRepeatFor (request: Pick<IncomingMessage, 'method'>, body: RequestBody | null): boolean {
  return body === null && SAFE.has(request.method ?? '')
}

/**
 * Whether a call may be repeated because its connection failed.
 *
 * @param call the call
 * @param body its body, or `null`
 * @param error what undici or the socket said
 */
export function mayRepeatOnFault (
  { request, route }: ForwardCall, body: RequestBody | null, error: Error
): boolean {
  return route.config.retry === 'connect' && body === null && IDEMPOTENT.has(request.method ?? '') && isConnectionFault(error)
}

/**
 * What becomes of an upstream's 401.
 *
 * @param raw its headers, flat
 * @param mayRepeat whether the call may be sent again
 * @param loginUrl the login endpoint
 * @returns the answer, held while another token is fetched; what the browser is told in its place;
 * `null`: it passes
 */
export function judge401 (
  raw: readonly Buffer[], mayRepeat: boolean, loginUrl: string
): HeldAnswer | BullaError | null {
  const challenge = readChallenge(headerOf(raw, 'www-authenticate'))
  if (challenge === null) return null
  if (challenge.kind === 'step_up') return new BullaError('step_up_required', { loginUrl: stepUpUrl(loginUrl, challenge) })
  return mayRepeat ? new HeldAnswer(raw) : null
}

/** A 401 that waits for another token. */
export class HeldAnswer {
  readonly headers: readonly Buffer[]
  readonly #chunks: Buffer[] = []
  #size = 0

  constructor (headers: readonly Buffer[]) {
    this.headers = headers
  }

  /** Keeps a piece of the body. @returns `false` if it is too much now */
  add (chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    return this.#size <= MOST_HELD
  }

  /** All of the body so far. */
  body (): Buffer {
    return Buffer.concat(this.#chunks)
  }
}
