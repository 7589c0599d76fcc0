// Faults of the network between Bulla and an API, as errors of the contract.
import { BullaError, type ErrorCode } from '../lib/errors.ts'

/** undici's codes for an upstream that took too long. */
const TIMEOUTS: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT'])

/**
 * The error of a failed call.
 *
 * @param cause what undici or the socket said
 */
export function upstreamFailure (cause: unknown): BullaError {
  if (cause instanceof BullaError) return cause
  const code: ErrorCode = TIMEOUTS.has(codeOf(cause)) ? 'upstream_timeout' : 'upstream_unreachable'
  return new BullaError(code, { cause })
}

function codeOf (cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : ''
}
