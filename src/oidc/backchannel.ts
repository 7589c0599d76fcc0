// The logout token that a provider pushes: who is logged out, believed after every check of the standard.
import * as jose from 'jose'
import { CLOCK_TOLERANCE } from './client-auth.ts'

/** Who is logged out, and when. Times are Unix seconds. */
export interface LogoutToken {
  readonly jti: string
  /** The session at the provider that ended; without it, all sessions of `sub`. */
  readonly sid: string | undefined
  readonly sub: string | undefined
  readonly issuedAt: number
  /** Until when a replay of it has to be feared. */
  readonly expiresAt: number
}

/** What a logout token is held against. */
export interface LogoutTokenExpectation {
  readonly issuer: string
  readonly clientId: string
  /** The same as for ID tokens; never `none` and nothing symmetric. */
  readonly algorithms: readonly string[]
  /** Unix milliseconds. */
  readonly now: number
  /** Gives the provider's keys; asked only for a token that looks right otherwise. */
  readonly keys: () => Promise<jose.JWTVerifyGetKey>
}

/** The token is not acceptable; the message says why, in words that may be answered. */
export class LogoutTokenError extends Error {
  constructor (message: string, options: ErrorOptions = {}) {
    super(message, options)
    this.name = 'LogoutTokenError'
  }
}

/** The member of `events` that makes a JWT a logout token. */
export const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/** Seconds that a logout token may be old. */
const MAX_AGE = 600

/**
 * Verifies a logout token. What costs nothing is looked at before the signature, and before keys are fetched.
 *
 * @param token the compact JWS
 * @param expected what it is held against
 * @throws {LogoutTokenError} if it is not acceptable; whatever fetching the keys throws
 * @see https://openid.net/specs/openid-connect-backchannel-1_0.html#Validation
 */
export async function verifyLogoutToken (
  token: string, expected: LogoutTokenExpectation
): Promise<LogoutToken> {
  lookOver(token, expected)
  const keys = await expected.keys()
  const payload = await verified(token, keys, expected)
  if (Object.hasOwn(payload, 'nonce')) throw new LogoutTokenError('a logout token has no nonce')
  if (!isObject(payload.events) || !isObject(payload.events[LOGOUT_EVENT])) {
    throw new LogoutTokenError('events does not name a back-channel logout')
  }
  const sid = identifier(payload, 'sid')
  const sub = identifier(payload, 'sub')
  const jti = identifier(payload, 'jti')
  if (sid === undefined && sub === undefined) throw new LogoutTokenError('there is neither sub nor sid')
  if (jti === undefined) throw new LogoutTokenError('there is no jti')
  const { iat: issuedAt, exp } = payload as { iat: number, exp: number }
  return { jti, sid, sub, issuedAt, expiresAt: Math.min(exp, issuedAt + MAX_AGE) + CLOCK_TOLERANCE }
}

/** BCL-07: `typ` is `logout+jwt` where there is one. iss and aud come before a signature costs anything. */
function lookOver (token: string, expected: LogoutTokenExpectation): void {
  let header: jose.ProtectedHeaderParameters
  let claims: jose.JWTPayload
  try {
    header = jose.decodeProtectedHeader(token)
    claims = jose.decodeJwt(token)
  } catch (cause) {
    throw new LogoutTokenError('this is no JWT', { cause })
  }
  const typ = header.typ?.toLowerCase().replace(/^application\//, '')
  if (typ !== undefined && typ !== 'logout+jwt') throw new LogoutTokenError('typ is not logout+jwt')
  if (typeof header.alg !== 'string' || !expected.algorithms.includes(header.alg)) {
    throw new LogoutTokenError('alg is not one that is accepted')
  }
  if (claims.iss !== expected.issuer) throw new LogoutTokenError('iss is another issuer')
  const audiences = [claims.aud].flat()
  if (audiences.length !== 1 || audiences[0] !== expected.clientId) throw new LogoutTokenError('aud is not this client alone')
}

async function verified (
  token: string, keys: jose.JWTVerifyGetKey, expected: LogoutTokenExpectation
): Promise<jose.JWTPayload> {
  try {
    const { payload } = await jose.jwtVerify(token, keys, {
      issuer: expected.issuer,
      audience: expected.clientId,
      algorithms: [...expected.algorithms],
      clockTolerance: CLOCK_TOLERANCE,
      currentDate: new Date(expected.now),
      requiredClaims: ['iss', 'aud', 'iat', 'exp', 'jti', 'events'],
      maxTokenAge: MAX_AGE
    })
    return payload
  } catch (cause) {
    if (cause instanceof jose.errors.JWTClaimValidationFailed || cause instanceof jose.errors.JWTExpired) {
      throw new LogoutTokenError(`${cause.claim} does not hold`, { cause })
    }
    if (isUnavailable(cause)) throw cause
    throw new LogoutTokenError('the signature does not hold', { cause })
  }
}

/** Whether the keys could not be had, which says nothing about the token. */
function isUnavailable (cause: unknown): boolean {
  if (!(cause instanceof jose.errors.JOSEError)) return true
  return cause instanceof jose.errors.JWKSTimeout || cause.code === 'ERR_JOSE_GENERIC'
}

function identifier (payload: jose.JWTPayload, name: 'sid' | 'sub' | 'jti'): string | undefined {
  const value = payload[name]
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value === '' || value.length > 255) throw new LogoutTokenError(`${name} is not usable`)
  return value
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
