// Bytes become a compact JWE and back: jose seals, node:crypto opens, in one synchronous step.
import { createDecipheriv } from 'node:crypto'
import { CompactEncrypt } from 'jose'
import { readBase64url, readShortBase64url } from './base64url.ts'
import type { Keyring, Purpose, PurposeKey } from './keyring.ts'

const IV_LENGTH = 16

/** Characters of the authentication tag, the end of a sealed value: random to all, it tells them apart. */
export const TAG_LENGTH = 22

/** The most characters of a sealed value: more than eight chunks have. */
const MAX_LENGTH = 32 * 1024

/** What one value is read into, used up before the next one comes: memory of its own for each costs more. */
const IV = Buffer.alloc(12)
const TAG = Buffer.alloc(16)
const CIPHERTEXT = Buffer.alloc(MAX_LENGTH)
const TAG_OPTIONS = { authTagLength: TAG.length }

/**
 * After how many seals a key should give way. Random 96-bit nonces are good for 2^32 seals of one key; this
 * process is one of several, and knows of its own only.
 *
 * @see https://doi.org/10.6028/NIST.SP.800-38D section 8.3
 */
export const MANY_SEALS = 2 ** 28

/** Seals and opens values of a purpose. */
export interface Sealer {
  seal (purpose: Purpose, bytes: Uint8Array): Promise<string>
  /** The bytes, or `null` for whatever this ring did not seal for this purpose. Never throws. */
  open (purpose: Purpose, text: string): Buffer | null
  /** How many characters a value of so many bytes will have. */
  sealedLength (purpose: Purpose, plainLength: number): number
  /** The ring as it is now; another object after each change. */
  keyring (): Keyring
}

/** What else a sealer may be told. */
export interface SealerOptions {
  /** Called each time that a key has sealed so many values more. */
  readonly onManySeals?: (kid: string, purpose: Purpose, count: number) => void
  /** Default: {@link MANY_SEALS}. */
  readonly manySeals?: number
}

/**
 * Creates a sealer.
 *
 * @param keyring gives the keys; asked anew each time, since the ring can change
 * @param options what to count, and whom to tell
 * @see https://www.rfc-editor.org/rfc/rfc7516 (JWE), RFC 7518 sections 4.5 and 5.3 (dir, A256GCM)
 */
export function createSealer (keyring: () => Keyring, options: SealerOptions = {}): Sealer {
  const { onManySeals, manySeals = MANY_SEALS } = options
  // By the encoded header, which names purpose and key: a reloaded ring goes on counting.
  const counts = new Map<string, number>()

  function count (purpose: Purpose, { kid, encodedHeader }: PurposeKey): void {
    const seals = (counts.get(encodedHeader) ?? 0) + 1
    counts.set(encodedHeader, seals)
    if (seals % manySeals === 0) onManySeals?.(kid, purpose, seals)
  }

  return {
    seal: async (purpose, bytes) => {
      const key = keyring().sealing(purpose)
      count(purpose, key)
      return await new CompactEncrypt(bytes).setProtectedHeader(key.header).encrypt(await key.cryptoKey())
    },
    open: (purpose, text) => open(keyring(), purpose, text),
    sealedLength: (purpose, length) => sealedLength(keyring().sealing(purpose).encodedHeader, length),
    keyring
  }
}

/**
 * The length of a compact JWE.
 *
 * @param encodedHeader the protected header, base64url
 * @param plainLength bytes of plaintext
 */
export function sealedLength (encodedHeader: string, plainLength: number): number {
  return encodedHeader.length + 2 + IV_LENGTH + 1 + Math.ceil(plainLength * 4 / 3) + 1 + TAG_LENGTH
}

function open (keyring: Keyring, purpose: Purpose, text: string): Buffer | null {
  const headerEnd = text.indexOf('.')
  // The header must be, character by character, the one that a key of this ring writes for this purpose.
  const key = keyring.opening(purpose, text.slice(0, Math.max(0, headerEnd)))
  if (key === undefined) return null
  const ivStart = headerEnd + 2
  const textStart = ivStart + IV_LENGTH + 1
  const tagStart = text.length - TAG_LENGTH
  if (text[ivStart - 1] !== '.' || text[textStart - 1] !== '.' || text[tagStart - 1] !== '.') return null
  if (tagStart - 1 < textStart || text.length > MAX_LENGTH) return null
  if (!readShortBase64url(text, ivStart, IV) || !readShortBase64url(text, tagStart, TAG)) return null
  const ciphertext = CIPHERTEXT.subarray(0, Math.floor((tagStart - 1 - textStart) * 3 / 4))
  return readBase64url(text.slice(textStart, tagStart - 1), ciphertext) ? decrypt(key, ciphertext) : null
}

/** Opens what was read. */
function decrypt (key: PurposeKey, ciphertext: Buffer): Buffer | null {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.key, IV, TAG_OPTIONS)
    decipher.setAAD(key.additionalData)
    decipher.setAuthTag(TAG)
    const plain = decipher.update(ciphertext)
    decipher.final()
    return plain
  } catch {
    return null
  }
}
