// What calls need of a session as bytes and back, for the memory of this process: quick to read, not small.
import type { SessionSummary } from './session.ts'

/** How a string is kept. */
const NONE = 0
const LATIN1 = 1
const UTF16 = 2
/** Three base64url parts between dots, as the bytes that they stand for. */
const JWS = 3

/** The numbers in front, eight bytes each; the last is NaN for none. */
const NUMBERS = 6
const FIRST_STRING = 8 * NUMBERS + 1

/** Kind and length; of a JWS each part has a length. */
const STRING_HEAD = 5

/**
 * Encodes a summary.
 *
 * @param summary what to keep
 */
export function encodeSummary (summary: SessionSummary): Buffer {
  const head = Buffer.alloc(FIRST_STRING)
  head.writeDoubleLE(summary.generation, 0)
  head.writeDoubleLE(summary.createdAt, 8)
  head.writeDoubleLE(summary.expiresAt, 16)
  head.writeDoubleLE(summary.accessTokenIssuedAt, 24)
  head.writeDoubleLE(summary.accessTokenExpiresAt, 32)
  head.writeDoubleLE(summary.refreshTokenExpiresAt ?? Number.NaN, 40)
  head.writeUInt8(summary.hasRefreshToken ? 1 : 0, 8 * NUMBERS)
  return Buffer.concat([
    head, ...encodeToken(summary.accessToken), ...encodeString(summary.sid), ...encodeString(summary.subject),
    ...encodeString(summary.providerSid)
  ])
}

/**
 * Decodes a summary.
 *
 * @param bytes what {@link encodeSummary} made
 */
export function decodeSummary (bytes: Buffer): SessionSummary {
  const refreshTokenExpiresAt = bytes.readDoubleLE(40)
  const strings = new StringReader(bytes, FIRST_STRING)
  return {
    accessToken: strings.next() as string,
    sid: strings.next() as string,
    subject: strings.next() as string,
    providerSid: strings.next(),
    generation: bytes.readDoubleLE(0),
    createdAt: bytes.readDoubleLE(8),
    expiresAt: bytes.readDoubleLE(16),
    accessTokenIssuedAt: bytes.readDoubleLE(24),
    accessTokenExpiresAt: bytes.readDoubleLE(32),
    refreshTokenExpiresAt: Number.isNaN(refreshTokenExpiresAt) ? undefined : refreshTokenExpiresAt,
    hasRefreshToken: bytes[8 * NUMBERS] === 1
  }
}

function encodeString (text: string | undefined): Buffer[] {
  if (text === undefined) return [stringHead(NONE, 0)]
  const latin1 = Buffer.from(text, 'latin1')
  if (latin1.toString('latin1') === text) return [stringHead(LATIN1, latin1.length), latin1]
  const utf16 = Buffer.from(text, 'utf16le')
  return [stringHead(UTF16, utf16.length), utf16]
}

/** A JWS takes three quarters; other tokens are kept as they are. */
function encodeToken (text: string): Buffer[] {
  const parts = text.split('.').map((part) => Buffer.from(part, 'base64url'))
  const isLossless = parts.length === 3 && parts.map((part) => part.toString('base64url')).join('.') === text
  return isLossless ? parts.flatMap((part) => [stringHead(JWS, part.length), part]) : encodeString(text)
}

function stringHead (kind: number, length: number): Buffer {
  const head = Buffer.alloc(STRING_HEAD)
  head.writeUInt8(kind)
  head.writeUInt32LE(length, 1)
  return head
}

class StringReader {
  readonly #bytes: Buffer
  #at: number

  constructor (bytes: Buffer, start: number) {
    this.#bytes = bytes
    this.#at = start
  }

  next (): string | undefined {
    const kind = this.#bytes[this.#at]
    if (kind === NONE) {
      this.#at += STRING_HEAD
      return undefined
    }
    if (kind === JWS) return `${this.#part('base64url')}.${this.#part('base64url')}.${this.#part('base64url')}`
    return this.#part(kind === LATIN1 ? 'latin1' : 'utf16le')
  }

  #part (encoding: 'base64url' | 'latin1' | 'utf16le'): string {
    const start = this.#at + STRING_HEAD
    this.#at = start + this.#bytes.readUInt32LE(this.#at + 1)
    return this.#bytes.toString(encoding, start, this.#at)
  }
}
