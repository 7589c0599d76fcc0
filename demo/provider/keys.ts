// The throw-away signing key of the authorization server: one per process, since making one takes a while.
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose'

/** An RS256 key pair, as the provider wants it (JWK) and as `jose` signs and verifies with it. */
export interface SigningKey {
  readonly jwk: JWK
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}

let cached: Promise<SigningKey> | undefined

/** The signing key of this process, made at the first call. */
export function signingKey (): Promise<SigningKey> {
  cached ??= generate()
  return cached
}

async function generate (): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  return { privateKey, publicKey, jwk: { ...await exportJWK(privateKey), alg: 'RS256', use: 'sig', kid: 'demo-1' } }
}

/** Signs any claims with the provider's key, e.g. a logout token. `header` adds to the header, e.g. `typ`. */
export async function signClaims (claims: JWTPayload, header: Record<string, string> = {}): Promise<string> {
  const { jwk, privateKey } = await signingKey()
  return await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: jwk.kid as string, ...header })
    .sign(privateKey)
}
