// How long a refresh token, and the consent behind it, last: what providers tell in members of their own.
import type { TokenEndpointResponse } from 'oauth4webapi'

/**
 * The members in which providers tell the seconds that a refresh token lasts unless it is used: Keycloak,
 * Entra
 * ID and others, and the draft of the IETF.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-oauth-refresh-token-expiration/
 */
const MEMBERS = ['refresh_expires_in', 'refresh_token_expires_in', 'refresh_token_timeout']

/**
 * When the refresh token ends.
 *
 * @param tokens the answer of the token endpoint
 * @param now Unix seconds
 * @returns Unix seconds; `undefined` if the provider does not tell, or tells 0: Keycloak means "never" by it
 */
export function refreshTokenEnd (tokens: TokenEndpointResponse, now: number): number | undefined {
  const told = MEMBERS.map((name) => secondsOf(tokens[name])).filter((seconds) => seconds !== undefined)
  return told.length === 0 ? undefined : now + Math.min(...told)
}

/**
 * When the authorization ends, whatever is refreshed.
 *
 * @param tokens the answer of the token endpoint
 * @param now Unix seconds
 * @returns Unix seconds; `Infinity` if the provider does not tell
 */
export function authorizationEnd (tokens: TokenEndpointResponse, now: number): number {
  return now + (secondsOf(tokens.authorization_expires_in) ?? Infinity)
}

/** Seconds as a number or, as some providers write them, as text. */
function secondsOf (value: unknown): number | undefined {
  const seconds = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value
  const isUsable = typeof seconds === 'number' && Number.isFinite(seconds) && seconds > 0
  return isUsable ? Math.floor(seconds) : undefined
}
