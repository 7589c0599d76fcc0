// The ID token of a refresh: it must speak of the same person, client and login as the one before.
import * as jose from 'jose'
import type { Clock } from '../lib/clock.ts'
import type { Session } from '../session/session.ts'
import type { OidcClient } from './client-auth.ts'
import { verifyIdToken, type IdTokenClaims } from './id-token.ts'
import type { Provider } from './provider.ts'

/** What the check needs. */
export interface ContinuityOptions {
  readonly provider: Provider
  readonly client: OidcClient
  readonly clock: Clock
  readonly algorithms: readonly string[]
}

/** The provider's keys could not be had: nothing is known about the signature. */
class KeysUnavailable extends Error {}

/** What jose says when it has the keys and they do not fit. */
const NO_KEY_FITS: ReadonlySet<unknown> = new Set(['ERR_JWKS_NO_MATCHING_KEY', 'ERR_JWKS_MULTIPLE_MATCHING_KEYS'])

/**
 * Holds the ID token of a refresh against the session.
 *
 * While the keys cannot be had, the claims alone are compared and none is taken over: the answer came from
 * the token endpoint itself over TLS (OIDC Core 3.1.3.7, point 6), and the refresh token is spent already.
 *
 * @param idToken as it came
 * @param before the session so far
 * @param options what it needs
 * @returns the verified claims, or `null` if the signature could not be checked
 * @throws if the token speaks of another login, or of none
 * @see https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokenResponse
 */
export async function continuity (
  idToken: unknown, before: Session, options: ContinuityOptions
): Promise<IdTokenClaims | null> {
  if (typeof idToken !== 'string') throw new Error('the ID token is no text')
  const { issuer } = options.provider
  const clientId = options.client.client.client_id
  const unverified = jose.decodeJwt(idToken)
  if (unverified.iss !== issuer) throw new Error('iss is another provider')
  if (![unverified.aud].flat().includes(clientId)) throw new Error('aud is another client')
  if (unverified.sub !== before.subject) throw new Error('sub is another user')
  const { auth_time: authTime } = unverified
  if (authTime !== undefined && before.authTime !== undefined && authTime !== before.authTime) {
    throw new Error('auth_time is another login')
  }
  const nonce = before.idToken === undefined ? undefined : jose.decodeJwt(before.idToken).nonce
  if (unverified.nonce !== undefined && nonce !== undefined && unverified.nonce !== nonce) {
    throw new Error('nonce is another login')
  }
  try {
    const { algorithms, clock } = options
    const keys = await fetchedKeys(options.provider)
    return await verifyIdToken(idToken, { issuer, clientId, algorithms, now: clock(), keys })
  } catch (error) {
    if (error instanceof KeysUnavailable) return null
    throw error
  }
}

/** The provider's keys, their absence told apart from a signature that does not fit. */
async function fetchedKeys (provider: Provider): Promise<jose.JWTVerifyGetKey> {
  const keys = await provider.keys().catch((cause: unknown) => { throw new KeysUnavailable('no keys', { cause }) })
  return async (header, token) => {
    try {
      return await keys(header, token)
    } catch (cause) {
      if (cause instanceof jose.errors.JOSEError && NO_KEY_FITS.has(cause.code)) throw cause
      throw new KeysUnavailable('no keys', { cause })
    }
  }
}
