// The end of a login: the answer checked, its code exchanged, the ID token verified, a session made.
import type * as oauth from 'oauth4webapi'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import type { Session } from '../session/session.ts'
import { validateAnswer } from './answer.ts'
import type { OidcClient } from './client-auth.ts'
import { exchangeCode, type IssuedTokens } from './code-exchange.ts'
import { verifyIdToken, type IdTokenClaims } from './id-token.ts'
import { sessionIdOf, type LoginState } from './login-state.ts'
import type { Provider } from './provider.ts'
import { authorizationEnd, refreshTokenEnd } from './refresh-expiry.ts'
import type { TokenTarget } from './token-target.ts'
import { fetchUserInfo, UserInfoMismatch } from './userinfo.ts'

/** What finishing a login needs. */
export interface CallbackOptions {
  readonly provider: Provider
  readonly client: OidcClient
  readonly clock: Clock
  readonly redirectUri: string
  /** What the session's own tokens are for, if that is said at the token endpoint. */
  readonly ownTarget?: TokenTarget | undefined
  readonly algorithms: readonly string[]
  /** The claims that a session keeps. */
  readonly claims: readonly string[]
  /** Whether the userinfo endpoint is asked too. */
  readonly userinfo: boolean
  /** Seconds that a session lives at most. */
  readonly maxAge: number
  /**
   * Is told of tokens that were issued to a login which then failed, so that they can be revoked (REV-04).
   */
  onWasted (tokens: IssuedTokens): void
  /** Is told that userinfo could not be read; the login goes on without it. */
  onWithoutUserInfo (cause: unknown): void
}

/** Seconds that an access token is believed to live when the provider does not say. */
const DEFAULT_LIFETIME = 300

/**
 * Finishes a login: one code exchange, never repeated.
 *
 * @param params the parameters of the answer, from `readAnswer`
 * @param login what was remembered
 * @param options what it needs
 * @throws {BullaError} `callback_invalid`, `login_denied`, `idp_unavailable`, `idp_misconfigured`
 */
export async function finishLogin (
  params: URLSearchParams, login: LoginState, options: CallbackOptions
): Promise<Session> {
  const metadata = await options.provider.metadata()
  const { client, redirectUri } = options
  const answer = validateAnswer(params, login.state, metadata, client.client)
  let issued: IssuedTokens = {}
  try {
    const exchange = { metadata, client, redirectUri, login, ownTarget: options.ownTarget }
    const tokens = await exchangeCode(answer, exchange, (held) => { issued = held })
    const claims = await verified(tokens, login, options)
    const info = await userInfo(tokens, claims.sub, options)
    return createSession(tokens, claims, { ...info, ...claims }, login, options)
  } catch (error) {
    if (issued.accessToken !== undefined) options.onWasted(issued)
    throw error
  }
}

async function verified (
  tokens: oauth.TokenEndpointResponse, login: LoginState, options: CallbackOptions
): Promise<IdTokenClaims> {
  const keys = await options.provider.keys()
  try {
    const claims = await verifyIdToken(tokens.id_token ?? '', {
      issuer: options.provider.issuer,
      clientId: options.client.client.client_id,
      algorithms: options.algorithms,
      now: options.clock(),
      keys,
      accessToken: tokens.access_token,
      acrValues: login.acrValues,
      maxAge: login.maxAge
    })
    // AUT-19: whoever begins to step up is the one who ends it.
    if (login.expectedSubject !== undefined && claims.sub !== login.expectedSubject) throw new Error('sub is another user')
    return claims
  } catch (error) {
    if (error instanceof BullaError) throw error
    throw new BullaError('callback_invalid', { cause: error })
  }
}

/** IDT-14: claims of another subject are never used; that they come at all ends the login. */
async function userInfo (
  tokens: oauth.TokenEndpointResponse, subject: string, options: CallbackOptions
): Promise<Record<string, unknown>> {
  if (!options.userinfo) return {}
  try {
    return await fetchUserInfo(tokens.access_token, subject, options)
  } catch (error) {
    if (error instanceof UserInfoMismatch) throw new BullaError('callback_invalid', { cause: error })
    options.onWithoutUserInfo(error)
    return {}
  }
}

/** What userinfo says is shown and no more: the login itself is described by the ID token alone. */
function createSession (
  tokens: oauth.TokenEndpointResponse, claims: IdTokenClaims, profile: Record<string, unknown>,
  login: LoginState, options: CallbackOptions
): Session {
  const now = unixSeconds(options.clock)
  return {
    sid: sessionIdOf(login),
    generation: 0,
    subject: claims.sub,
    ...tokenFields(tokens, now),
    ...(typeof claims.sid === 'string' ? { providerSid: claims.sid } : {}),
    ...(tokens.id_token === undefined ? {} : { idToken: tokens.id_token }),
    ...(typeof claims.auth_time === 'number' ? { authTime: claims.auth_time } : {}),
    claims: keptClaims(profile, options.claims),
    createdAt: now,
    expiresAt: Math.min(now + options.maxAge, authorizationEnd(tokens, now))
  }
}

/** The fields of a session that a token response sets. */
export type TokenFields = Pick<Session,
  'accessToken' | 'accessTokenExpiresAt' | 'accessTokenIssuedAt' | 'refreshToken' | 'refreshTokenExpiresAt' | 'scope'>

/**
 * The fields of a session that a token response sets.
 *
 * @param tokens the response, already checked
 * @param now Unix seconds
 */
export function tokenFields (tokens: oauth.TokenEndpointResponse, now: number): TokenFields {
  const refreshTokenExpiresAt = refreshTokenEnd(tokens, now)
  return {
    accessToken: tokens.access_token,
    accessTokenIssuedAt: now,
    accessTokenExpiresAt: now + Math.floor(tokens.expires_in ?? DEFAULT_LIFETIME),
    ...(tokens.refresh_token === undefined ? {} : { refreshToken: tokens.refresh_token }),
    ...(refreshTokenExpiresAt === undefined ? {} : { refreshTokenExpiresAt }),
    ...(tokens.scope === undefined ? {} : { scope: tokens.scope })
  }
}

/**
 * The claims that a session keeps: those of the allow-list that are present.
 *
 * @param claims the verified claims
 * @param allowed the allow-list
 */
export function keptClaims (
  claims: Readonly<Record<string, unknown>>, allowed: readonly string[]
): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  for (const name of allowed) if (Object.hasOwn(claims, name)) kept[name] = claims[name]
  return kept
}
