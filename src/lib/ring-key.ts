// The form of a key ring: 32-byte keys in base64url, random enough to be keys, each there once.

/** The most keys of a ring: one that seals, one to come, and those that still open. */
const MAX_KEYS = 16

/**
 * The keys of a ring as text: one a line or comma-separated; what follows a `#` is a comment.
 *
 * @param text the content of a keys file, or the value of `BULLA_KEYS`
 */
export function parseKeys (text: string): string[] {
  return text.replace(/#[^\n]*/g, '').split(/[\s,]+/).filter((key) => key !== '')
}

/**
 * What is wrong with a ring. Names keys by their position, never by what they are.
 *
 * @param keys as written in the settings
 * @returns phrases such as "key 2 has 16 bytes …"; none if the ring can be used
 */
export function ringFaults (keys: readonly string[]): string[] {
  const faults = keys.flatMap((key, index) => {
    const fault = keyFault(key)
    return fault === null ? [] : [`key ${index + 1} ${fault}`]
  })
  if (keys.length === 0) faults.push('there is no key')
  if (keys.length > MAX_KEYS) faults.push(`there are ${keys.length} keys, more than ${MAX_KEYS}`)
  if (new Set(keys.map((key) => keyBytes(key).toString('hex'))).size < keys.length) faults.push('a key is listed twice')
  return faults
}

/**
 * What is wrong with a ring key.
 *
 * @param text the key as written in the settings
 * @returns a phrase that completes "the key …", or `null` if it can be used
 */
export function keyFault (text: string): string | null {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text.replace(/=+$/, '')) return 'is not base64url'
  if (bytes.length !== 32) return `has ${bytes.length} bytes instead of 32 (make one with "bulla keys generate")`
  if (new Set(bytes).size < 16) return 'is not random: it has fewer than 16 distinct bytes'
  if (bytes.every((byte) => byte >= 0x20 && byte < 0x7f)) return 'is not random: it is text'
  if (isRow(bytes)) return 'is not random: its bytes are a row such as 0, 1, 2'
  return null
}

/** Whether each byte follows from the last one by the same step. */
function isRow (bytes: Buffer): boolean {
  const step = (bytes[1] ?? 0) - (bytes[0] ?? 0)
  return bytes.every((byte, index) => index === 0 || ((byte - (bytes[index - 1] ?? 0) - step) & 255) === 0)
}

/**
 * The bytes of a ring key that {@link keyFault} accepts.
 *
 * @param text the key as written in the settings
 */
export function keyBytes (text: string): Buffer {
  return Buffer.from(text, 'base64url')
}
