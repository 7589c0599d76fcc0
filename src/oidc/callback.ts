// The answer of the authorization server: checked, its code exchanged, the ID token verified, a session made.
import * as oauth from 'oauth4webapi'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import type { Session } from '../session/session.ts'
import type { OidcClient } from './client-auth.ts'
import { verifyIdToken, type IdTokenClaims } from './id-token.ts'
import { sessionIdOf, type LoginState } from './login-state.ts'
import type { Provider } from './provider.ts'
import { authorizationEnd, refreshTokenEnd } from './refresh-expiry.ts'

/** What finishing a login needs. */
export interface CallbackOptions {
  readonly provider: Provider
  readonly client: OidcClient
  readonly clock: Clock
  readonly redirectUri: string
  readonly algorithms: readonly string[]
  /** The claims that a session keeps. */
  readonly claims: readonly string[]
  /** Seconds that a session lives at most. */
  readonly maxAge: number
}

/** Seconds that an access token is believed to live when the provider does not say. */
const DEFAULT_LIFETIME = 300

/**
 * Finishes a login: one code exchange, never repeated.
 *
 * @param params the parameters of the answer
 * @param login what was remembered
 * @param options what it needs
 * @throws {BullaError} `callback_invalid`, `login_denied`, `idp_unavailable`, `idp_misconfigured`
 */
export async function finishLogin (params: URLSearchParams, login: LoginState, options: CallbackOptions): Promise<Session> {
  const metadata = await options.provider.metadata()
  const { client, auth } = options.client
  const checked = validateAnswer(metadata, client, params, login)
  const response = await exchange(async () => await oauth.authorizationCodeGrantRequest(
    metadata, client, auth, checked, options.redirectUri, login.codeVerifier, options.client.callOptions()))
  const tokens = await exchange(async () => await oauth.processAuthorizationCodeResponse(metadata, client, response, {
    expectedNonce: login.nonce, requireIdToken: true
  }))
  const claims = await verified(tokens, options)
  return createSession(tokens, claims, login, options)
}

function validateAnswer (
  metadata: oauth.AuthorizationServer, client: oauth.Client, params: URLSearchParams, login: LoginState
): URLSearchParams {
  try {
    return oauth.validateAuthResponse(metadata, client, params, login.state)
  } catch (error) {
    if (error instanceof oauth.AuthorizationResponseError && error.error === 'access_denied') {
      throw new BullaError('login_denied', { cause: new Error('access_denied') })
    }
    if (error instanceof oauth.AuthorizationResponseError && TEMPORARY.includes(error.error)) {
      throw new BullaError('idp_unavailable', { cause: new Error(error.error), retryAfter: 5 })
    }
    throw new BullaError('callback_invalid', { cause: error })
  }
}

const TEMPORARY = ['temporarily_unavailable', 'server_error']

/** Sorts the faults of a call to the token endpoint at login. */
async function exchange<T> (call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof oauth.ResponseBodyError) {
      const code = error.error === 'invalid_grant' ? 'callback_invalid' : 'idp_misconfigured'
      throw new BullaError(code, { cause: new Error(`the token endpoint answered ${error.error}`) })
    }
    if (error instanceof oauth.WWWAuthenticateChallengeError) throw new BullaError('idp_misconfigured', { cause: error })
    if (error instanceof oauth.OperationProcessingError && !isTransient(error)) {
      throw new BullaError('callback_invalid', { cause: error })
    }
    throw new BullaError('idp_unavailable', { cause: error, retryAfter: 5 })
  }
}

function isTransient (error: oauth.OperationProcessingError): boolean {
  return error.code === oauth.RESPONSE_IS_NOT_CONFORM || error.code === oauth.RESPONSE_IS_NOT_JSON || error.code === oauth.PARSE_ERROR
}

async function verified (tokens: oauth.TokenEndpointResponse, options: CallbackOptions): Promise<IdTokenClaims> {
  const keys = await options.provider.keys()
  try {
    return await verifyIdToken(tokens.id_token ?? '', {
      issuer: options.provider.issuer,
      clientId: options.client.client.client_id,
      algorithms: options.algorithms,
      now: options.clock(),
      keys
    })
  } catch (error) {
    throw new BullaError('callback_invalid', { cause: error })
  }
}

function createSession (
  tokens: oauth.TokenEndpointResponse, claims: IdTokenClaims, login: LoginState, options: CallbackOptions
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
    claims: keptClaims(claims, options.claims),
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
    accessTokenExpiresAt: now + (tokens.expires_in ?? DEFAULT_LIFETIME),
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
export function keptClaims (claims: Readonly<Record<string, unknown>>, allowed: readonly string[]): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  for (const name of allowed) if (Object.hasOwn(claims, name)) kept[name] = claims[name]
  return kept
}
