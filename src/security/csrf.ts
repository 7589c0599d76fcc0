// The guard: which requests may use the session's tokens, told by the CSRF header, Sec-Fetch-Site and Origin.
import type { IncomingHttpHeaders } from 'node:http'
import type { ErrorCode } from '../lib/errors.ts'

/** How a route is guarded. */
export interface GuardPolicy {
  /** `header`: the CSRF header is required; `fetch-metadata`: Sec-Fetch-Site or Origin stands in for it. */
  readonly mode: 'header' | 'fetch-metadata'
  /** The header's name, lower case. */
  readonly header: string
  /** The app's own origin. */
  readonly origin: string
}

/**
 * Decides whether a request may pass.
 *
 * @param policy of the route
 * @param headers of the request
 * @param method of the request
 * @returns the refusal, or `null`
 * @see https://www.w3.org/TR/fetch-metadata/ and OAuth 2.0 for Browser-Based Applications, section 6.1.3.3
 */
export function refusal (policy: GuardPolicy, method: string, headers: IncomingHttpHeaders): ErrorCode | null {
  const site = headers['sec-fetch-site']
  const { origin } = headers
  const isTyped = site === 'none' && policy.mode === 'fetch-metadata' && headers['sec-fetch-mode'] === 'navigate' && method === 'GET'
  if (site !== undefined && site !== 'same-origin' && !isTyped) return 'csrf_origin_refused'
  if (origin !== undefined && origin !== policy.origin) return 'csrf_origin_refused'
  const marker = headers[policy.header]
  if (marker !== undefined && marker !== '') return null
  if (policy.mode === 'fetch-metadata' && (site !== undefined || origin !== undefined)) return null
  return 'csrf_header_missing'
}
