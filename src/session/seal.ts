// Bytes become a compact JWE and back: jose seals, node:crypto opens, in one synchronous step.
import { createDecipheriv } from 'node:crypto'
import { CompactEncrypt } from 'jose'
import type { Keyring, Purpose } from './keyring.ts'

const IV_LENGTH = 16
const TAG_LENGTH = 22

/** Seals and opens values of a purpose. */
export interface Sealer {
  seal (purpose: Purpose, bytes: Uint8Array): Promise<string>
  /** The bytes, or `null` for whatever this ring did not seal for this purpose. Never throws. */
  open (purpose: Purpose, text: string): Buffer | null
}

/**
 * Creates a sealer.
 *
 * @param keyring gives the keys; asked anew each time, since the ring can change
 * @see https://www.rfc-editor.org/rfc/rfc7516 (JWE), RFC 7518 sections 4.5 and 5.3 (dir, A256GCM)
 */
export function createSealer (keyring: () => Keyring): Sealer {
  return {
    seal: async (purpose, bytes) => {
      const { header, key } = keyring().sealing(purpose)
      return await new CompactEncrypt(bytes).setProtectedHeader(header).encrypt(key)
    },
    open: (purpose, text) => open(keyring(), purpose, text)
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
  const found = keyring.opening(purpose, text.slice(0, Math.max(0, headerEnd)))
  if (found === undefined) return null
  const ivStart = headerEnd + 2
  const textStart = ivStart + IV_LENGTH + 1
  const tagStart = text.length - TAG_LENGTH
  if (text[ivStart - 1] !== '.' || text[textStart - 1] !== '.' || text[tagStart - 1] !== '.') return null
  if (tagStart - 1 < textStart) return null
  const iv = canonicalBytes(text.slice(ivStart, textStart - 1))
  const ciphertext = canonicalBytes(text.slice(textStart, tagStart - 1))
  const tag = canonicalBytes(text.slice(tagStart))
  if (iv === null || ciphertext === null || tag === null) return null
  return decrypt(found.key, found.encodedHeader, iv, ciphertext, tag)
}

function decrypt (
  key: Parameters<typeof createDecipheriv>[1], header: string, iv: Buffer, ciphertext: Buffer, tag: Buffer
): Buffer | null {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: 16 })
    decipher.setAAD(Buffer.from(header, 'latin1'))
    decipher.setAuthTag(tag)
    const head = decipher.update(ciphertext)
    decipher.final()
    return head
  } catch {
    return null
  }
}

/** Base64url read strictly: what does not encode back to the same text is refused. */
function canonicalBytes (text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : null
}
