// What an upstream's `WWW-Authenticate` asks for: a fresh token, or a stronger login; all of it read
// with care.

/** What the API wants. */
export type Challenge =
  { readonly kind: 'invalid_token' } |
  { readonly kind: 'step_up', readonly acrValues: string | null, readonly maxAge: string | null }

const MAX_LENGTH = 4096

/** Auth-params: a token, `=`, a token or a quoted string. */
const PARAM = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/g

/**
 * Values of `acr`: URIs and short names, space-separated; nothing that a URL or a log could be broken
 * with.
 */
const ACR_VALUES = /^[\w:/.#?&=+~@%-]{1,200}(?: [\w:/.#?&=+~@%-]{1,200}){0,7}$/

const MAX_AGE = /^\d{1,9}$/

/**
 * Reads the challenge of a 401.
 *
 * @param header `WWW-Authenticate`, all lines joined
 * @returns what is wanted, or `null` for any other challenge
 * @see https://www.rfc-editor.org/rfc/rfc9470#section-3 and RFC 6750 section 3.1
 */
export function readChallenge (header: string | undefined): Challenge | null {
  if (header === undefined || header.length > MAX_LENGTH || !/(?:^|[\s,])(?:bearer|dpop)\s/i.test(header)) return null
  const params = new Map<string, string>()
  for (const [, name = '', quoted, token = ''] of header.matchAll(PARAM)) {
    const key = name.toLowerCase()
    if (!params.has(key)) params.set(key, quoted?.replace(/\\(.)/g, '$1') ?? token)
  }
  const error = params.get('error')
  if (error === 'invalid_token') return { kind: 'invalid_token' }
  if (error !== 'insufficient_user_authentication') return null
  return { kind: 'step_up', acrValues: accepted(params.get('acr_values'), ACR_VALUES), maxAge: accepted(params.get('max_age'), MAX_AGE) }
}

/**
 * Where a stronger login begins.
 *
 * @param loginUrl the login endpoint
 * @param challenge what the API asks for
 */
export function stepUpUrl (loginUrl: string, challenge: Extract<Challenge, { kind: 'step_up' }>): string {
  const params = new URLSearchParams()
  if (challenge.acrValues !== null) params.set('acr_values', challenge.acrValues)
  if (challenge.maxAge !== null) params.set('max_age', challenge.maxAge)
  return params.size === 0 ? loginUrl : `${loginUrl}?${params.toString()}`
}

function accepted (value: string | undefined, form: RegExp): string | null {
  return value !== undefined && form.test(value) ? value : null
}
