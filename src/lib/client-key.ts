// The private key with which the client authenticates: a JWK or a PEM, read the same way by the checks and
// the client.
import { createPrivateKey, type KeyObject } from 'node:crypto'

/** A client key, and what the authorization server calls it. */
export interface ClientKey {
  readonly key: KeyObject
  /** The JWS algorithm that it signs with. */
  readonly alg: string
  readonly kid?: string
}

const CURVE_ALGS: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }
const RSA_ALGS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']

/**
 * Reads a client key.
 *
 * @param text a private JWK as JSON (its `alg` and `kid` are used), or a PEM (RSA signs RS256)
 * @throws an error with a phrase that completes "client_key …"
 */
export function readClientKey (text: string): ClientKey {
  const jwk = text.trimStart().startsWith('{') ? parseJwk(text) : null
  const key = privateKey(jwk === null ? text : { key: jwk, format: 'jwk' })
  const alg = algorithmOf(key, jwk?.alg)
  return { key, alg, ...(typeof jwk?.kid === 'string' ? { kid: jwk.kid } : {}) }
}

function parseJwk (text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    throw new Error('is no JSON')
  }
}

function privateKey (input: string | { key: Record<string, unknown>, format: 'jwk' }): KeyObject {
  try {
    return createPrivateKey(input as Parameters<typeof createPrivateKey>[0])
  } catch {
    throw new Error('is no private key in JWK or PEM form')
  }
}

function algorithmOf (key: KeyObject, named: unknown): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'rsa') {
    if ((details?.modulusLength ?? 0) < 2048) throw new Error('is an RSA key of fewer than 2048 bits')
    if (named === undefined) return 'RS256'
    if (RSA_ALGS.includes(String(named))) return String(named)
  } else if (type === 'ed25519') {
    if (named === undefined || named === 'EdDSA' || named === 'Ed25519') return 'EdDSA'
  } else if (type === 'ec') {
    const alg = CURVE_ALGS[details?.namedCurve ?? '']
    if (alg !== undefined && (named === undefined || named === alg)) return alg
  }
  throw new Error('is of a type, or names an alg, that cannot sign a client assertion')
}
