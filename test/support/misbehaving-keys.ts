// The keys of the misbehaving provider, made once in a process, and tokens signed rightly, wrongly or not at
// all.
import { createHmac } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT, type JWK, type JWTPayload } from 'jose'

/** A signing key, as the provider holds and publishes it. */
export interface MadeKey {
  readonly alg: string
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly publicJwk: JWK
}

type CryptoKey = Awaited<ReturnType<typeof generateKeyPair>>['privateKey']

const made = new Map<string, Promise<MadeKey>>()

/** The key of a name; the same one for the same name and algorithm. */
export async function keyNamed (kid: string, alg = 'RS256'): Promise<MadeKey> {
  const id = `${kid} ${alg}`
  const known = made.get(id) ?? make(kid, alg)
  made.set(id, known)
  return await known
}

async function make (kid: string, alg: string): Promise<MadeKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { alg, kid, privateKey, publicJwk: { ...await exportJWK(publicKey), kid, alg, use: 'sig' } }
}

/** A JOSE header; `undefined` leaves a member out. */
export type Header = Record<string, unknown>

/** Signs claims, with whatever header is asked for. */
export async function signWith (
  key: MadeKey, claims: Record<string, unknown>, header: Header
): Promise<string> {
  const { alg } = header
  const head = Object.fromEntries(Object.entries(header).filter(([, value]) => value !== undefined))
  const input = [head, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  if (typeof alg !== 'string' || alg.toLowerCase() === 'none') return `${input}.`
  if (alg.startsWith('HS')) {
    const secret = JSON.stringify(key.publicJwk)
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  const names = Array.isArray(head.crit) ? head.crit : null
  const crit = names === null ? {} : { crit: Object.fromEntries(names.map((name) => [name, true])) }
  return await new SignJWT(claims as JWTPayload).setProtectedHeader(head as { alg: string })
    .sign(key.privateKey, crit)
}

/** Breaks a signature: one bit of it is turned. */
export function broken (jwt: string): string {
  const [head = '', body = '', signature = ''] = jwt.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  bytes[10] = (bytes[10] ?? 0) ^ 1
  return `${head}.${body}.${bytes.toString('base64url')}`
}
