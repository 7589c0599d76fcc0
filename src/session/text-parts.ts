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

/** The text from its beginning, so many bytes of it or more; throws if there are not so many. */
export type Inflate = (needed: number) => Buffer

const NOTHING = Buffer.alloc(0)

/** Reads strings in the order in which {@link TextWriter} took them; throws where they end too early. */
export class TextReader {
  readonly #lengths: ByteReader
  readonly #inflate: Inflate
  readonly #raw: Buffer
  #text: Buffer = NOTHING
  #textAt = 0
  #rawAt = 0

  /**
   * @param lengths the lengths and kinds
   * @param inflate gives what was deflated
   * @param raw what was not
   */
  constructor (lengths: ByteReader, inflate: Inflate, raw: Buffer) {
    this.#lengths = lengths
    this.#inflate = inflate
    this.#raw = raw
  }

  /** The next string, which is no token. */
  string (): string {
    const head = this.#lengths.varint()
    this.#expect(textOf(head))
    return this.#next(head)
  }

  /** The next string, which may be a token. */
  token (): string {
    const heads: number[] = []
    let length = 0
    for (let count = this.#lengths.varint(); count > 0; count--) {
      const head = this.#lengths.varint()
      heads.push(head)
      length += textOf(head)
    }
    this.#expect(length)
    let value = heads.length === 0 ? '' : this.#next(heads[0] as number)
    for (let part = 1; part < heads.length; part++) value += `.${this.#next(heads[part] as number)}`
    return value
  }

  /** So many bytes of text are read next: they are inflated at once. */
  #expect (length: number): void {
    const needed = this.#textAt + length
    if (needed > this.#text.length) this.#text = this.#inflate(needed)
  }

  #next (head: number): string {
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
}

/** How many bytes of text a string has, by its head. */
function textOf (head: number): number {
  const kind = head % 4
  return kind === TEXT || kind === JSON_PART ? (head - kind) / 4 : 0
}

function within (bytes: Buffer, end: number): number {
  if (end > bytes.length) throw new RangeError('the text ends too early')
  return end
}
