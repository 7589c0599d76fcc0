// Faults of the network between Bulla and an API, as errors of the contract.
import { BullaError, type ErrorCode } from '../lib/errors.ts'

/** Codes of undici and of sockets for an upstream that took too long. */
const TIMEOUTS: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT'])

/** Codes of connections that failed before the upstream can have acted on a request without side effects. */
const CONNECTION_FAULTS: ReadonlySet<string> = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_SOCKET', 'UND_ERR_CONNECT_TIMEOUT'
])

/** Seconds after which a refused call may be tried again. */
const RETRY_AFTER = 1

/**
 * The error of a failed call. What undici or the socket said is kept for the log and never sent.
 *
 * @param cause what they said
 */
export function upstreamFailure (cause: unknown): BullaError {
  if (cause instanceof BullaError) return cause
  const code: ErrorCode = TIMEOUTS.has(codeOf(cause)) ? 'upstream_timeout' : 'upstream_unreachable'
  return new BullaError(code, { cause })
}

/**
 * The error of a call for which there is no connection and no place in the queue.
 */
export function overloaded (): BullaError {
  return new BullaError('overloaded', { retryAfter: RETRY_AFTER, detail: 'Too many calls wait for this API.' })
}

/**
 * Whether the connection itself failed, so that an idempotent call may be repeated on another.
 *
 * @param cause what undici or the socket said
 */
export function isConnectionFault (cause: unknown): boolean {
  if (cause instanceof AggregateError) return cause.errors.every(isConnectionFault)
  return CONNECTION_FAULTS.has(codeOf(cause))
}

function codeOf (cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : ''
}
