// The provider's signing keys: fetched, cached, fetched again for an unknown kid but never often, chosen
// with care.
import * as jose from 'jose'
import { BullaError } from '../lib/errors.ts'
import { CALL_TIMEOUT, type Fetch } from './http.ts'

/** What the keys need. */
export interface KeySetOptions {
  /** The `jwks_uri` of the metadata. */
  readonly uri: string
  readonly fetch: Fetch
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/** Milliseconds after which keys are fetched anew, so that withdrawn ones go. */
const TTL = 600_000

/** Fetches for unknown kids: so many at once, then one each so many milliseconds (DIS-03). */
const BURST = 3
const REFILL = 5_000

/** The most keys of a set that are looked at. */
const MAX_KEYS = 64

type Header = jose.JWSHeaderParameters
type Key = Awaited<ReturnType<typeof jose.importJWK>>
type Found = Key[]

/**
 * Creates the key finder of one `jwks_uri`. Keys come from there only: `jku`, `x5u`, `jwk` and `x5c` of a
 * token
 * are not looked at (RFC 7515 section 4.1, IDT-18).
 *
 * @param options what it needs
 * @returns finds the key of a token; throws `idp_unavailable` if no keys can be had, an error of jose if
 *   none fits
 * @see https://openid.net/specs/openid-connect-core-1_0.html#RotateSigKeys
 */
export function createKeySet (options: KeySetOptions): jose.JWTVerifyGetKey {
  const { now } = options
  let known: jose.JWK[] | null = null
  let imported = new Map<string, Key | null>()
  let fetchedAt = -Infinity
  let inFlight: Promise<void> | null = null
  const budget = createBudget(now)

  async function load (): Promise<void> {
    const keys = await fetchKeys(options)
    known = keys
    imported = new Map()
    fetchedAt = now()
  }

  async function reload (): Promise<void> {
    inFlight ??= load().finally(() => { inFlight = null })
    await inFlight
  }

  /** The keys, new enough; if they cannot be fetched, the last good ones. */
  async function current (): Promise<void> {
    if (known !== null && now() - fetchedAt < TTL) return
    try {
      await reload()
    } catch (error) {
      if (known === null) throw error
      fetchedAt = now() - TTL + REFILL
    }
  }

  async function suitable (header: Header): Promise<Found> {
    const found: Found = []
    for (const [index, jwk] of (known ?? []).entries()) {
      if (!fits(jwk, header)) continue
      const id = `${index} ${header.alg}`
      if (!imported.has(id)) imported.set(id, await importPublic(jwk, header.alg ?? ''))
      const key = imported.get(id)
      if (key !== null && key !== undefined) found.push(key)
    }
    return found
  }

  return async (header, token) => {
    await current()
    let found = await suitable(header)
    if (found.length === 0 && budget()) {
      await reload().catch((error: unknown) => { if (known === null) throw error })
      found = await suitable(header)
    }
    const [first, ...others] = found
    if (first === undefined) throw new jose.errors.JWKSNoMatchingKey()
    return others.length === 0 ? first : await whichSigned(found, header, token)
  }
}

/** A bucket of fetches that fills up again with time. */
function createBudget (now: () => number): () => boolean {
  let left = BURST
  let at = now()
  return () => {
    const gained = Math.floor((now() - at) / REFILL)
    if (gained > 0) {
      left = Math.min(BURST, left + gained)
      at += gained * REFILL
    }
    if (left === 0) return false
    left -= 1
    return true
  }
}

async function fetchKeys (options: KeySetOptions): Promise<jose.JWK[]> {
  try {
    const response = await options.fetch(options.uri, {
      headers: { accept: 'application/json, application/jwk-set+json' }, signal: AbortSignal.timeout(CALL_TIMEOUT)
    })
    if (response.status !== 200) throw new Error(`jwks_uri answered ${response.status}`)
    const body = await response.json() as { keys?: unknown }
    if (!Array.isArray(body?.keys)) throw new Error('jwks_uri answered no key set')
    return body.keys.slice(0, MAX_KEYS).filter(isKey)
  } catch (error) {
    throw new BullaError('idp_unavailable', { cause: error, retryAfter: 5 })
  }
}

function isKey (value: unknown): value is jose.JWK {
  return typeof value === 'object' && value !== null && 'kty' in value && typeof value.kty === 'string'
}

/** DIS-05: a kid is not enough; type, use, algorithm and curve must fit too. */
function fits (jwk: jose.JWK, header: Header): boolean {
  const form = keyForm(header.alg ?? '')
  return form !== null && jwk.kty === form.kty && (header.kid === undefined || header.kid === jwk.kid) &&
    (form.crv === undefined || jwk.crv === form.crv) &&
    (jwk.alg === undefined || jwk.alg === header.alg || (jwk.kty === 'OKP' && /^Ed/.test(jwk.alg))) &&
    (jwk.use === undefined || jwk.use === 'sig') &&
    (!Array.isArray(jwk.key_ops) || jwk.key_ops.includes('verify'))
}

/** @see https://www.rfc-editor.org/rfc/rfc7518#section-3.1 */
function keyForm (alg: string): { kty: string, crv?: string } | null {
  if (/^[RP]S(256|384|512)$/.test(alg)) return { kty: 'RSA' }
  if (alg === 'EdDSA' || alg === 'Ed25519') return { kty: 'OKP', crv: 'Ed25519' }
  const curve = ({ ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' } as Record<string, string>)[alg]
  return curve === undefined ? null : { kty: 'EC', crv: curve }
}

/** A key that cannot be read is passed over: one bad key must not spoil the set. */
async function importPublic (jwk: jose.JWK, alg: string): Promise<Key | null> {
  const { kty, n, e, crv, x, y } = jwk as Record<string, string>
  const parts = { RSA: { kty, n, e }, EC: { kty, crv, x, y }, OKP: { kty, crv, x } }[kty ?? '']
  try {
    return await jose.importJWK(parts as jose.JWK, alg)
  } catch {
    return null
  }
}

/** DIS-04: several keys fit; the one that signed is found by trying. */
async function whichSigned (keys: Found, header: Header, token: jose.FlattenedJWSInput): Promise<Key> {
  for (const key of keys) {
    const isSigner = await jose.flattenedVerify(token, key, { algorithms: [header.alg ?? ''] }).then(() => true, () => false)
    if (isSigner) return key
  }
  throw new jose.errors.JWSSignatureVerificationFailed()
}
