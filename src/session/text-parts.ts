// Strings of a session as lengths, text that deflates and bytes that do not; a JWT is kept decoded.
import type { ByteReader, ByteWriter } from './bytes.ts'

/** How a part of a string is kept; the two low bits of its length. */
const TEXT = 0 // its UTF-8, in the text
const JSON_PART = 1 // base64url of bytes in the text: a JOSE header, a claims set
const RAW_PART = 2 // base64url of bytes outside the text: a signature, random bits
const UTF16 = 3 // its UTF-16LE, outside the text: what has no UTF-8, such as half a surrogate pair

/** More dots than a token has: a string of that many parts is kept whole. */
const MAX_PARTS = 16

/** Shorter parts are not worth telling apart from words. */
const MIN_RAW_PART = 16

const OPEN_BRACE = 0x7b

/** Collects strings: lengths go to one place, bytes to two others. */
export class TextWriter {
  readonly #lengths: ByteWriter
  /** What deflates. */
  readonly text: Buffer[] = []
  /** What does not. */
  readonly raw: Buffer[] = []

  /** @param lengths where lengths and kinds go */
  constructor (lengths: ByteWriter) {
    this.#lengths = lengths
  }

  /** A string that is no token. */
  string (value: string): void {
    const utf8 = Buffer.from(value)
    const isLossless = utf8.toString() === value
    this.#part(isLossless ? TEXT : UTF16, isLossless ? utf8 : Buffer.from(value, 'utf16le'))
  }

  /** A string that may be a token: dot-separated parts, each kept in its cheapest form. */
  token (value: string): void {
    const parts = value.split('.', MAX_PARTS + 1)
    const kept = parts.length > MAX_PARTS ? [value] : parts
    this.#lengths.varint(kept.length)
    for (const part of kept) this.#tokenPart(part)
  }

  #tokenPart (part: string): void {
    const bytes = Buffer.from(part, 'base64url')
    // Only what comes out as it went in may be kept decoded: no padding, no stray bits.
    if (part === '' || bytes.toString('base64url') !== part) return this.string(part)
    if (bytes[0] === OPEN_BRACE) return this.#part(JSON_PART, bytes)
    // Hexadecimal text deflates to less than the bytes that it is base64url of.
    if (part.length < MIN_RAW_PART || /^[0-9a-f-]+$/i.test(part)) return this.string(part)
    this.#part(RAW_PART, bytes)
  }

  #part (kind: number, bytes: Buffer): void {
    this.#lengths.varint(bytes.length * 4 + kind);
    (kind === TEXT || kind === JSON_PART ? this.text : this.raw).push(bytes)
  }
}

/** Reads strings in the order in which {@link TextWriter} took them; throws where they end too early. */
export class TextReader {
  readonly #lengths: ByteReader
  readonly #text: Buffer
  readonly #raw: Buffer
  #textAt = 0
  #rawAt = 0

  /**
   * @param lengths the lengths and kinds
   * @param text what was deflated
   * @param raw what was not
   */
  constructor (lengths: ByteReader, text: Buffer, raw: Buffer) {
    this.#lengths = lengths
    this.#text = text
    this.#raw = raw
  }

  /** The next string, which is no token. */
  string (): string {
    const head = this.#lengths.varint()
    const kind = head % 4
    const length = (head - kind) / 4
    if (kind === TEXT || kind === JSON_PART) {
      const start = this.#textAt
      this.#textAt = within(this.#text, start + length)
      return this.#text.toString(kind === TEXT ? 'utf8' : 'base64url', start, this.#textAt)
    }
    const start = this.#rawAt
    this.#rawAt = within(this.#raw, start + length)
    return this.#raw.toString(kind === RAW_PART ? 'base64url' : 'utf16le', start, this.#rawAt)
  }

  /** The next string, which may be a token. */
  token (): string {
    const count = this.#lengths.varint()
    let value = count === 0 ? '' : this.string()
    for (let part = 1; part < count; part++) value += `.${this.string()}`
    return value
  }
}

function within (bytes: Buffer, end: number): number {
  if (end > bytes.length) throw new RangeError('the text ends too early')
  return end
}
