// The form of a ring key: 32 bytes in base64url, random enough to be one.

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
  return null
}

/**
 * The bytes of a ring key that {@link keyFault} accepts.
 *
 * @param text the key as written in the settings
 */
export function keyBytes (text: string): Buffer {
  return Buffer.from(text, 'base64url')
}
