// What the token endpoint's answer to a refresh means: tokens, the end, a fault to wait out, or our own
// fault.

/** Why there are no new tokens. */
export type TokenFault =
  /** The authorization server says that the refresh token is no longer good. */
  | { readonly kind: 'invalid_grant' }
  /** No usable answer; the refresh token may still be good. */
  | { readonly kind: 'transient', readonly cause: unknown, readonly isEveryones: boolean }
  /** The authorization server refuses this client or its request. */
  | { readonly kind: 'misconfigured', readonly cause: unknown, readonly isEveryones: boolean }

/** The body of an answer with tokens, its ID token apart. */
export interface TokenBody { readonly kind: 'tokens', readonly body: object, readonly idToken: unknown }

/** OAuth errors that say "not now"; some servers send them with a 400. */
const TEMPORARY: ReadonlySet<string> = new Set(['temporarily_unavailable', 'server_error', 'slow_down'])

/** OAuth errors that speak of the client, so that every session meets them. */
const OF_THE_CLIENT: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client', 'unsupported_grant_type'])

/**
 * Sorts an answer of the token endpoint, by its status first. Only a 4xx whose JSON says `invalid_grant` is
 * the
 * end of a refresh token: an outage, a proxy's page or a wrong client secret must not log anyone out.
 *
 * @param response as it came
 * @throws whatever reading the body throws: a fault to wait out
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-5.2
 */
export async function tokenAnswer (response: Response): Promise<TokenBody | TokenFault> {
  const { status } = response
  const body = parse(await response.text())
  if (status === 200 && body !== null) {
    const { id_token: idToken, ...rest } = body
    return { kind: 'tokens', body: rest, idToken }
  }
  const told = body !== null && typeof body.error === 'string' ? body.error : null
  const cause = new Error(`the token endpoint answered ${status}${told === null ? '' : ` ${told.slice(0, 64)}`}`)
  const isRefusal = status >= 400 && status < 500 && status !== 408 && status !== 429
  if (!isRefusal || (told !== null && TEMPORARY.has(told))) return { kind: 'transient', cause, isEveryones: true }
  if (told === 'invalid_grant') return { kind: 'invalid_grant' }
  if (told !== null) return { kind: 'misconfigured', cause, isEveryones: OF_THE_CLIENT.has(told) }
  return { kind: status === 401 ? 'misconfigured' : 'transient', cause, isEveryones: true }
}

function parse (text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : null
  } catch {
    return null
  }
}
