// The refresh grant and what comes of it for a session: renewed, dead, a fault to wait out, or our own fault.
import * as oauth from 'oauth4webapi'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import type { Session } from '../session/session.ts'
import { keptClaims, tokenFields } from './callback.ts'
import type { OidcClient } from './client-auth.ts'
import type { Provider } from './provider.ts'
import { authorizationEnd } from './refresh-expiry.ts'
import { continuity } from './refresh-id-token.ts'
import { tokenAnswer, type TokenFault } from './token-answer.ts'

/** What became of a refresh. */
export type RefreshOutcome =
  /** There are new tokens. */
  | { readonly kind: 'renewed', readonly session: Session }
  /** The answer speaks of someone else: the session ends. `session` holds tokens that must not be used. */
  | { readonly kind: 'mismatch', readonly cause: unknown, readonly session: Session }
  | TokenFault

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
 * @param limit milliseconds that the call may take, if less than usual
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-6
 * @see https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokenResponse
 */
export async function refreshSession (
  session: Session, options: RefreshOptions, limit?: number
): Promise<RefreshOutcome> {
  try {
    const metadata = await options.provider.metadata()
    const { client, auth } = options.client
    const callOptions = options.client.callOptions()
    if (limit !== undefined) callOptions.signal = AbortSignal.timeout(limit)
    const response = await oauth.refreshTokenGrantRequest(metadata, client, auth, session.refreshToken ?? '', callOptions)
    const answer = await tokenAnswer(response)
    if (answer.kind !== 'tokens') return answer
    // The library checks all but the ID token, whose faults would hide the tokens that must then be revoked.
    const tokens = await oauth.processRefreshTokenResponse(metadata, client, Response.json(answer.body))
    return await withIdToken(renewedBy(tokens, session, options.clock), session, answer.idToken, options)
  } catch (cause) {
    const isOurs = cause instanceof BullaError && cause.code === 'idp_misconfigured'
    return { kind: isOurs ? 'misconfigured' : 'transient', cause, isEveryones: true }
  }
}

/** New tokens in an old session; a refresh token that is not replaced stays (RFC 6749 section 6). */
function renewedBy (tokens: oauth.TokenEndpointResponse, session: Session, clock: Clock): Session {
  const now = unixSeconds(clock)
  const { refreshTokenExpiresAt, ...rest } = session
  const isKept = tokens.refresh_token === undefined && refreshTokenExpiresAt !== undefined
  return {
    ...rest,
    ...(isKept ? { refreshTokenExpiresAt } : {}),
    ...tokenFields(tokens, now),
    expiresAt: Math.min(session.expiresAt, authorizationEnd(tokens, now)),
    generation: session.generation + 1
  }
}

/** An ID token is optional here; one that comes must speak of the same login. */
async function withIdToken (
  renewed: Session, before: Session, idToken: unknown, options: RefreshOptions
): Promise<RefreshOutcome> {
  if (idToken === undefined) return { kind: 'renewed', session: renewed }
  try {
    const claims = await continuity(idToken, before, options)
    if (claims === null) return { kind: 'renewed', session: renewed }
    return {
      kind: 'renewed',
      session: {
        ...renewed,
        ...(before.idToken === undefined ? {} : { idToken: String(idToken) }),
        claims: keptClaims(claims, options.claims)
      }
    }
  } catch (cause) {
    return { kind: 'mismatch', cause, session: renewed }
  }
}
