// The ID token: the signature always, and every check of the standard that the library leaves to us.
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
}

/** Seconds that an ID token may be old when it arrives. */
const MAX_AGE = 600

/**
 * Verifies an ID token: signature, iss, aud (no other audience), azp, exp, iat, sub. The nonce is the caller's.
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
    maxTokenAge: MAX_AGE
  })
  if (protectedHeader.typ !== undefined && protectedHeader.typ.toLowerCase() !== 'jwt') throw new Error('typ is no ID token\'s')
  if ([payload.aud].flat().length !== 1) throw new Error('there are further audiences')
  if (payload.azp !== undefined && payload.azp !== expected.clientId) throw new Error('azp is another client')
  if (typeof payload.sub !== 'string' || payload.sub === '' || payload.sub.length > 255) throw new Error('sub is not usable')
  if (payload.events !== undefined) throw new Error('this is a logout token')
  return payload as IdTokenClaims
}
