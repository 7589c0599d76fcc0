// The ID token: the signature always, and every check of the standard that the library leaves to us.
import { createHash } from 'node:crypto'
import * as jose from 'jose'
import { CLOCK_TOLERANCE } from './client-auth.ts'

/** The claims of a verified ID token. */
export interface IdTokenClaims extends jose.JWTPayload {
  readonly sub: string
  readonly iss: string
  readonly iat: number
  readonly exp: number
}

/** What an ID token is held against. */
export interface IdTokenExpectation {
  readonly issuer: string
  readonly clientId: string
  readonly algorithms: readonly string[]
  /** Unix milliseconds. */
  readonly now: number
  readonly keys: jose.JWTVerifyGetKey
  /** The access token that came with it; `at_hash` must fit, if there is one. */
  readonly accessToken?: string
  /** One of these must be the `acr`. */
  readonly acrValues?: readonly string[] | undefined
  /** Seconds; `auth_time` must be there and no older. */
  readonly maxAge?: number | undefined
}

/** Seconds that an ID token may be old when it arrives. */
const MAX_TOKEN_AGE = 600

/**
 * Verifies an ID token: signature, iss, aud (no other audience), azp, exp, iat, sub, at_hash, acr, auth_time.
 * The nonce is the caller's.
 *
 * @param idToken the compact JWS
 * @param expected what it is held against
 * @throws an error of jose, or one that says what does not hold
 * @see https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
 */
export async function verifyIdToken (idToken: string, expected: IdTokenExpectation): Promise<IdTokenClaims> {
  const { payload, protectedHeader } = await jose.jwtVerify(idToken, expected.keys, {
    issuer: expected.issuer,
    audience: expected.clientId,
    algorithms: [...expected.algorithms],
    clockTolerance: CLOCK_TOLERANCE,
    currentDate: new Date(expected.now),
    requiredClaims: ['iss', 'aud', 'exp', 'iat', 'sub'],
    maxTokenAge: MAX_TOKEN_AGE
  })
  // IDT-17: a JWT that was made for something else is no ID token, whoever signed it.
  if (protectedHeader.typ !== undefined && protectedHeader.typ.toLowerCase() !== 'jwt') throw new Error('typ is no ID token\'s')
  if (payload.events !== undefined) throw new Error('this is a logout token')
  if ([payload.aud].flat().length !== 1) throw new Error('there are further audiences')
  if (payload.azp !== undefined && payload.azp !== expected.clientId) throw new Error('azp is another client')
  if (typeof payload.sub !== 'string' || payload.sub === '' || payload.sub.length > 255) throw new Error('sub is not usable')
  checkAccessTokenHash(payload, protectedHeader.alg, expected.accessToken)
  checkAuthentication(payload, expected)
  return payload as IdTokenClaims
}

/** @see https://openid.net/specs/openid-connect-core-1_0.html#CodeIDToken */
function checkAccessTokenHash (payload: jose.JWTPayload, alg: string, accessToken: string | undefined): void {
  if (payload.at_hash === undefined || accessToken === undefined) return
  const size = /^Ed/.test(alg) ? '512' : alg.slice(-3)
  const digest = createHash(`sha${size}`).update(accessToken, 'ascii').digest()
  if (payload.at_hash !== digest.subarray(0, digest.length / 2).toString('base64url')) {
    throw new Error('at_hash is of another access token')
  }
}

/** What was asked for of the login itself: its strength (IDT-10) and its age (IDT-11). */
function checkAuthentication (payload: jose.JWTPayload, expected: IdTokenExpectation): void {
  const { acrValues, maxAge } = expected
  if (acrValues !== undefined && !acrValues.includes(payload.acr as string)) throw new Error('acr is none that was asked for')
  if (payload.auth_time !== undefined && typeof payload.auth_time !== 'number') throw new Error('auth_time is no number')
  if (maxAge === undefined) return
  const oldest = expected.now / 1000 - maxAge - CLOCK_TOLERANCE
  if (typeof payload.auth_time !== 'number' || payload.auth_time < oldest) throw new Error('auth_time is missing or too old')
}
