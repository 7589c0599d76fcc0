// The refresh grant and what its outcome means for a session: renewed, dead, transient fault, or our own fault.
import * as oauth from 'oauth4webapi'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import type { Session } from '../session/session.ts'
import { keptClaims, tokenFields } from './callback.ts'
import type { OidcClient } from './client-auth.ts'
import { verifyIdToken } from './id-token.ts'
import type { Provider } from './provider.ts'

/** What became of a refresh. */
export type RefreshOutcome =
  /** There are new tokens. */
  | { readonly kind: 'renewed', readonly session: Session }
  /** The authorization server says that the refresh token is no longer good. */
  | { readonly kind: 'invalid_grant' }
  /** The answer speaks of someone else: the session ends. */
  | { readonly kind: 'mismatch', readonly cause: unknown, readonly session: Session }
  /** No usable answer; the refresh token may still be good. */
  | { readonly kind: 'transient', readonly cause: unknown }
  /** The authorization server refuses this client or its request. */
  | { readonly kind: 'misconfigured', readonly cause: unknown }

/** What a refresh needs. */
export interface RefreshOptions {
  readonly provider: Provider
  readonly client: OidcClient
  readonly clock: Clock
  readonly algorithms: readonly string[]
  readonly claims: readonly string[]
}

/**
 * Spends a session's refresh token, once. Never throws.
 *
 * @param session a session with a refresh token
 * @param options what it needs
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-6
 * @see https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokenResponse
 */
export async function refreshSession (session: Session, options: RefreshOptions): Promise<RefreshOutcome> {
  let tokens: oauth.TokenEndpointResponse
  try {
    const metadata = await options.provider.metadata()
    const { client, auth } = options.client
    const response = await oauth.refreshTokenGrantRequest(
      metadata, client, auth, session.refreshToken ?? '', options.client.callOptions())
    tokens = await oauth.processRefreshTokenResponse(metadata, client, response)
  } catch (error) {
    return classify(error)
  }
  const renewed: Session = {
    ...session,
    ...tokenFields(tokens, unixSeconds(options.clock)),
    generation: session.generation + 1
  }
  return await withIdToken(renewed, session, tokens.id_token, options)
}

/** An ID token is optional here; one that comes must speak of the same login. */
async function withIdToken (
  renewed: Session, before: Session, idToken: string | undefined, options: RefreshOptions
): Promise<RefreshOutcome> {
  if (idToken === undefined) return { kind: 'renewed', session: renewed }
  try {
    const claims = await verifyIdToken(idToken, {
      issuer: options.provider.issuer,
      clientId: options.client.client.client_id,
      algorithms: options.algorithms,
      now: options.clock(),
      keys: await options.provider.keys()
    })
    if (claims.sub !== before.subject) throw new Error('sub is another user')
    if (claims.auth_time !== undefined && before.authTime !== undefined && claims.auth_time !== before.authTime) {
      throw new Error('auth_time is another login')
    }
    return {
      kind: 'renewed',
      session: { ...renewed, ...(before.idToken === undefined ? {} : { idToken }), claims: keptClaims(claims, options.claims) }
    }
  } catch (cause) {
    return { kind: 'mismatch', cause, session: renewed }
  }
}

function classify (error: unknown): RefreshOutcome {
  if (error instanceof oauth.ResponseBodyError && error.status < 500 && error.status !== 429) {
    if (error.error === 'invalid_grant') return { kind: 'invalid_grant' }
    return { kind: 'misconfigured', cause: new Error(`the token endpoint answered ${error.status} ${error.error}`) }
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError && error.status === 401) {
    return { kind: 'misconfigured', cause: new Error('the token endpoint answered 401') }
  }
  return { kind: 'transient', cause: error }
}
