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
import { flawOf, tokenOf, type ApiToken } from './token-for-api.ts'
import { targetParams, type TokenTarget } from './token-target.ts'

/** What became of a refresh. */
export type RefreshOutcome =
  /** There are new tokens. */
  | { readonly kind: 'renewed', readonly session: Session }
  /** There is a token for the API that was wished for. */
  | {
    readonly kind: 'granted'
    readonly target: TokenTarget
    readonly token: ApiToken
    /** With the refresh token that replaces the one that was spent; `null` if that one is still good. */
    readonly session: Session | null
  }
  /** There is none for that API, which is nobody else's matter. */
  | {
    readonly kind: 'refused'
    readonly target: TokenTarget
    readonly cause: unknown
    /** Whether the refresh token itself may be dead: `invalid_grant`. */
    readonly isGrant: boolean
    readonly session: Session | null
  }
  /** The answer speaks of someone else: the session ends. `session` holds tokens that must not be used. */
  | { readonly kind: 'mismatch', readonly cause: unknown, readonly session: Session }
  | TokenFault

/** How a refresh differs from the usual. */
export interface RefreshWish {
  /** A token for this API in place of new ones for the session. */
  readonly target?: TokenTarget | undefined
  /** Milliseconds that the call may take, if less than usual. */
  readonly limit?: number | undefined
}

/** What a refresh needs. */
export interface RefreshOptions {
  readonly provider: Provider
  readonly client: OidcClient
  readonly clock: Clock
  readonly algorithms: readonly string[]
  readonly claims: readonly string[]
  /** What the session's own tokens are for, if that is said at the token endpoint. */
  readonly ownTarget?: TokenTarget | undefined
}

/**
 * Spends a session's refresh token, once. Never throws.
 *
 * @param session a session with a refresh token
 * @param options what it needs
 * @param wish how it differs from the usual
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-6
 * @see https://www.rfc-editor.org/rfc/rfc8707#section-2.2
 * @see https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokenResponse
 */
export async function refreshSession (
  session: Session, options: RefreshOptions, wish: RefreshWish = {}
): Promise<RefreshOutcome> {
  const { target, limit } = wish
  try {
    const metadata = await options.provider.metadata()
    const { client, auth } = options.client
    const callOptions = options.client.callOptions()
    if (limit !== undefined) callOptions.signal = AbortSignal.timeout(limit)
    const response = await oauth.refreshTokenGrantRequest(metadata, client, auth, session.refreshToken ?? '', {
      ...callOptions,
      additionalParameters: targetParams(target ?? options.ownTarget ?? {})
    })
    const answer = await tokenAnswer(response)
    if (answer.kind !== 'tokens') return target === undefined ? answer : refusedFor(target, answer)
    // The library checks all but the ID token, whose faults would hide the tokens that must then be revoked.
    const tokens = await oauth.processRefreshTokenResponse(metadata, client, Response.json(answer.body))
    const renewed = renewedBy(tokens, session, options.clock)
    const outcome = await withIdToken(renewed, session, answer.idToken, options)
    if (target === undefined || outcome.kind !== 'renewed') return outcome
    return grantedBy(tokens, outcome.session, session, target)
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

/**
 * The session keeps its own access token; only a refresh token that came in place of the old one is taken
 * over.
 */
function grantedBy (
  tokens: oauth.TokenEndpointResponse, renewed: Session, before: Session, target: TokenTarget
): RefreshOutcome {
  const { accessToken, accessTokenIssuedAt, accessTokenExpiresAt, scope } = before
  const granted = scope === undefined ? {} : { scope }
  const own = { accessToken, accessTokenIssuedAt, accessTokenExpiresAt, ...granted }
  const isReplaced = tokens.refresh_token !== undefined && tokens.refresh_token !== before.refreshToken
  const { scope: _granted, ...rest } = renewed
  const session = isReplaced ? { ...rest, ...own } : null
  const flaw = flawOf(tokens, target)
  if (flaw !== null) return { kind: 'refused', target, cause: new Error(flaw), isGrant: false, session }
  return { kind: 'granted', target, token: tokenOf(tokens, renewed.accessTokenIssuedAt), session }
}

/** What a provider refuses for one API; whether the refresh token is dead too, a refresh finds out. */
function refusedFor (target: TokenTarget, fault: TokenFault): RefreshOutcome {
  if (fault.kind !== 'invalid_grant' && fault.isEveryones) return fault
  const isGrant = fault.kind === 'invalid_grant'
  const cause = isGrant ? new Error('the token endpoint answered invalid_grant') : fault.cause
  return { kind: 'refused', target, cause, isGrant, session: null }
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
