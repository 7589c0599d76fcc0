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
  /** Further origins that may call, exact. Default: none. */
  readonly allowed?: ReadonlySet<string>
}

/**
 * Decides whether a request may pass:
 *
 * | Origin | Sec-Fetch-Site | mode `header` | mode `fetch-metadata` |
 * | --- | --- | --- | --- |
 * | another one | any | refused | refused |
 * | a listed one | any | header | passes |
 * | own or absent | same-origin | header | passes |
 * | own or absent | none | refused | a GET navigation passes |
 * | own or absent | same-site, cross-site | refused | refused |
 * | own | absent or unknown | header | passes |
 * | absent | absent or unknown | header | header |
 *
 * @param policy of the route
 * @param method of the request
 * @param headers of the request
 * @returns the refusal, or `null`
 * @see https://www.w3.org/TR/fetch-metadata/ and OAuth 2.0 for Browser-Based Applications, section 6.1.3.3
 */
export function refusal (
  policy: GuardPolicy, method: string, headers: IncomingHttpHeaders
): ErrorCode | null {
  const site = knownSite(headers['sec-fetch-site'])
  const { origin } = headers
  if (origin !== undefined && origin !== policy.origin) {
    if (policy.allowed?.has(origin) !== true) return 'csrf_origin_refused'
  } else if (site !== undefined && site !== 'same-origin') {
    if (site !== 'none' || !isTypedAddress(policy, method, headers)) return 'csrf_origin_refused'
  }
  const marker = headers[policy.header]
  if (marker !== undefined && marker !== '') return null
  if (policy.mode === 'fetch-metadata' && (site !== undefined || origin !== undefined)) return null
  return 'csrf_header_missing'
}

/**
 * Whether a WebSocket may be opened: browsers send no custom header there, so the Origin decides, and alone.
 *
 * @param policy of the route
 * @param origin the request's `Origin`
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-10.2
 */
export function isSocketOriginAllowed (policy: GuardPolicy, origin: string | undefined): boolean {
  return origin !== undefined && (origin === policy.origin || policy.allowed?.has(origin) === true)
}

/** An unknown value is as good as none (it comes from no browser); a repeated header is refused. */
function knownSite (value: string | string[] | undefined): string | undefined {
  if (value === undefined) return undefined
  const site = String(value)
  if (site === 'same-origin' || site === 'none' || site === 'same-site' || site === 'cross-site') return site
  return site.includes(',') ? 'cross-site' : undefined
}

/** The address of a download, typed or bookmarked. */
function isTypedAddress (policy: GuardPolicy, method: string, headers: IncomingHttpHeaders): boolean {
  return policy.mode === 'fetch-metadata' && method === 'GET' && headers['sec-fetch-mode'] === 'navigate'
}
