// The key ring: the first key seals, all open; keys for each purpose and deployment derived once, at load.
import { createSecretKey, hkdfSync, webcrypto, type KeyObject } from 'node:crypto'
import { keyBytes } from '../lib/ring-key.ts'

/** What a sealed value is for. No value opens for another purpose. */
export type Purpose = 'session' | 'login' | 'ticket' | 'idle' | 'end' | 'spent' | 'refresh'

/** All of them. */
export const PURPOSES: readonly Purpose[] = ['session', 'login', 'ticket', 'idle', 'end', 'spent', 'refresh']

/** The deployment that the keys are bound to: nothing that one seals opens in another. */
export interface Binding { readonly origin: string, readonly issuer: string, readonly clientId: string }

/** A key for one purpose, with the exact protected header of what it seals. */
export interface PurposeKey {
  readonly kid: string
  /** Opens. */
  readonly key: KeyObject
  /** Seals; imported at the first use, not extractable. */
  cryptoKey (): Promise<webcrypto.CryptoKey>
  readonly header: { readonly alg: 'dir', readonly enc: 'A256GCM', readonly kid: string, readonly typ: string }
  /** The header as it stands in the compact JWE. */
  readonly encodedHeader: string
  /** The same as bytes: the additional authenticated data. */
  readonly additionalData: Buffer
}

/** The keys of a deployment. Never changes: a reload makes another. */
export interface Keyring {
  /** The key that seals now. */
  sealing (purpose: Purpose): PurposeKey
  /** The key that sealed a value with this encoded header, or `undefined`: no other header opens. */
  opening (purpose: Purpose, encodedHeader: string): PurposeKey | undefined
  /** The ids of all keys, the sealing one first. */
  readonly kids: readonly string[]
}

/**
 * Derives a ring.
 *
 * @param keys base64url 32-byte keys, checked before; the first seals
 * @param binding the deployment
 * @see https://www.rfc-editor.org/rfc/rfc5869 (HKDF)
 */
export function createKeyring (keys: readonly string[], binding: Binding): Keyring {
  const rings = new Map<Purpose, PurposeKey[]>()
  const byHeader = new Map<Purpose, Map<string, PurposeKey>>()
  for (const purpose of PURPOSES) {
    const ring = keys.map((key) => derive(keyBytes(key), purpose, binding))
    rings.set(purpose, ring)
    byHeader.set(purpose, new Map(ring.map((key) => [key.encodedHeader, key])))
  }
  return {
    kids: (rings.get('session') ?? []).map((key) => key.kid),
    sealing: (purpose) => {
      const key = rings.get(purpose)?.[0]
      if (key === undefined) throw new TypeError('the key ring is empty')
      return key
    },
    opening: (purpose, encodedHeader) => byHeader.get(purpose)?.get(encodedHeader)
  }
}

/**
 * The id of a ring key, which says nothing about it: safe to print and to publish.
 *
 * @param key base64url, 32 bytes
 */
export function kidOf (key: string): string {
  return kidOfBytes(keyBytes(key))
}

function kidOfBytes (ringKey: Buffer): string {
  return Buffer.from(hkdfSync('sha256', ringKey, '', 'bulla/1 kid', 6)).toString('base64url')
}

function derive (ringKey: Buffer, purpose: Purpose, binding: Binding): PurposeKey {
  const info = JSON.stringify(['bulla/1', purpose, binding.origin, binding.issuer, binding.clientId])
  const kid = kidOfBytes(ringKey)
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', ringKey, '', info, 32)))
  const header = { alg: 'dir', enc: 'A256GCM', kid, typ: `bulla-${purpose}+1` } as const
  const encodedHeader = Buffer.from(JSON.stringify(header)).toString('base64url')
  let imported: Promise<webcrypto.CryptoKey> | undefined
  return {
    kid,
    key,
    cryptoKey: async () =>
      await (imported ??= webcrypto.subtle.importKey('raw', key.export(), 'AES-GCM', false, ['encrypt'])),
    header,
    encodedHeader,
    additionalData: Buffer.from(encodedHeader, 'latin1')
  }
}
