// Base64url, read strictly: only what encodes back to the same text, so that no value has a second form.

/** The characters, each for the number of its place. */
export const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** The characters that can end a text whose length leaves 2 and 3 over 4: their unused bits are 0. */
const LAST = ['', '', 'AQgw', 'AEIMQUYcgkosw048']

/** What the characters stand for, by their codes. */
const VALUES = new Int8Array(128).fill(-1)
for (let value = 0; value < BASE64URL.length; value++) VALUES[BASE64URL.charCodeAt(value)] = value

/**
 * Reads a text of any length.
 *
 * @param text what should be base64url
 * @param into as long as what should come out
 * @returns whether it is the base64url of so many bytes
 */
export function readBase64url (text: string, into: Buffer): boolean {
  const over = text.length % 4
  if (over === 1 || into.length !== Math.floor(text.length * 3 / 4) || !isPlain(text)) return false
  // What Node does not know it passes over, so that fewer bytes come out.
  if (into.write(text, 'base64url') !== into.length) return false
  return over === 0 || LAST[over]?.includes(text[text.length - 1] as string) === true
}

/** Node takes `+` and `/` for `-` and `_`, and a character beyond ASCII for the one of its low byte. */
function isPlain (text: string): boolean {
  return Buffer.byteLength(text) === text.length && !text.includes('+') && !text.includes('/')
}

/**
 * Reads a part of a text, where it is so short that calls into native code cost more than a loop.
 *
 * @param text holds the part
 * @param start where the part starts
 * @param into as long as what should come out
 * @returns whether the part is the base64url of so many bytes
 */
export function readShortBase64url (text: string, start: number, into: Buffer): boolean {
  let bits = 0
  let count = 0
  let position = start
  for (let at = 0; at < into.length; at++) {
    while (count < 8) {
      const value = VALUES[text.charCodeAt(position++)]
      if (value === undefined || value < 0) return false
      bits = bits << 6 | value
      count += 6
    }
    count -= 8
    into[at] = bits >> count
    bits &= (1 << count) - 1
  }
  return bits === 0
}
