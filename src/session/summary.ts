// What calls need of a session as bytes and back, for the memory of this process: quick to read, not small.
import type { SessionSummary } from './session.ts'

/** How text is kept. */
const ASCII = 0
const UTF16 = 1
/** Three base64url parts between dots, as the bytes that they stand for. */
const JWS = 2

const PARTS = 3

/** In front: six numbers of eight bytes, of which the last is NaN for none … */
const FLAGS = 48
const HAS_REFRESH_TOKEN = 1
const HAS_PROVIDER_SID = 2
/** … then how token and names are kept, the bytes of the token's parts and of the names … */
const TOKEN_KIND = 49
const NAMES_KIND = 50
const LENGTHS = 51
/** … and the characters of the first two names. */
const NAME_LENGTHS = LENGTHS + 4 * (PARTS + 1)
const HEAD = NAME_LENGTHS + 8

/**
 * Encodes a summary.
 *
 * @param summary what to keep
 */
export function encodeSummary (summary: SessionSummary): Buffer {
  const { accessToken, sid, subject, providerSid } = summary
  const names = sid + subject + (providerSid ?? '')
  const bytes = Buffer.allocUnsafe(HEAD + 2 * (accessToken.length + names.length))
  bytes.fill(0, FLAGS, HEAD)
  bytes.writeDoubleLE(summary.generation, 0)
  bytes.writeDoubleLE(summary.createdAt, 8)
  bytes.writeDoubleLE(summary.expiresAt, 16)
  bytes.writeDoubleLE(summary.accessTokenIssuedAt, 24)
  bytes.writeDoubleLE(summary.accessTokenExpiresAt, 32)
  bytes.writeDoubleLE(summary.refreshTokenExpiresAt ?? Number.NaN, 40)
  bytes[FLAGS] = (summary.hasRefreshToken ? HAS_REFRESH_TOKEN : 0) |
    (providerSid === undefined ? 0 : HAS_PROVIDER_SID)
  bytes.writeUInt32LE(sid.length, NAME_LENGTHS)
  bytes.writeUInt32LE(subject.length, NAME_LENGTHS + 4)
  const tokenEnd = writeJws(bytes, accessToken) ?? writeText(bytes, accessToken, TOKEN_KIND, 0, HEAD)
  return bytes.subarray(0, writeText(bytes, names, NAMES_KIND, PARTS, tokenEnd))
}

/** A JWS takes three quarters of its length; `null` for another token, which is kept as it is. */
function writeJws (bytes: Buffer, token: string): number | null {
  const parts = token.split('.', PARTS + 1)
  if (parts.length !== PARTS) return null
  let end = HEAD
  const lengths: number[] = []
  for (const part of parts) {
    const length = bytes.write(part, end, 'base64url')
    if (bytes.toString('base64url', end, end + length) !== part) return null
    lengths.push(length)
    end += length
  }
  for (const [index, length] of lengths.entries()) bytes.writeUInt32LE(length, LENGTHS + 4 * index)
  bytes[TOKEN_KIND] = JWS
  return end
}

/** Returns where it ends; its length and kind go to the head. */
function writeText (bytes: Buffer, text: string, kindAt: number, index: number, start: number): number {
  const isAscii = Buffer.byteLength(text) === text.length
  const length = bytes.write(text, start, isAscii ? 'latin1' : 'utf16le')
  bytes[kindAt] = isAscii ? ASCII : UTF16
  bytes.writeUInt32LE(length, LENGTHS + 4 * index)
  return start + length
}

/**
 * Decodes a summary.
 *
 * @param bytes what {@link encodeSummary} made
 */
export function decodeSummary (bytes: Buffer): SessionSummary {
  const flags = bytes[FLAGS] as number
  const tokenEnd = HEAD + lengthOf(bytes, 0) + lengthOf(bytes, 1) + lengthOf(bytes, 2)
  // One string for all of them: each call into native code costs more than cutting.
  const names = readText(bytes, NAMES_KIND, tokenEnd, tokenEnd + lengthOf(bytes, PARTS))
  const subjectStart = bytes.readUInt32LE(NAME_LENGTHS)
  const subjectEnd = subjectStart + bytes.readUInt32LE(NAME_LENGTHS + 4)
  const refreshTokenExpiresAt = bytes.readDoubleLE(40)
  return {
    accessToken: bytes[TOKEN_KIND] === JWS ? readJws(bytes) : readText(bytes, TOKEN_KIND, HEAD, tokenEnd),
    sid: names.slice(0, subjectStart),
    subject: names.slice(subjectStart, subjectEnd),
    providerSid: (flags & HAS_PROVIDER_SID) === 0 ? undefined : names.slice(subjectEnd),
    generation: bytes.readDoubleLE(0),
    createdAt: bytes.readDoubleLE(8),
    expiresAt: bytes.readDoubleLE(16),
    accessTokenIssuedAt: bytes.readDoubleLE(24),
    accessTokenExpiresAt: bytes.readDoubleLE(32),
    refreshTokenExpiresAt: Number.isNaN(refreshTokenExpiresAt) ? undefined : refreshTokenExpiresAt,
    hasRefreshToken: (flags & HAS_REFRESH_TOKEN) !== 0
  }
}

function lengthOf (bytes: Buffer, index: number): number {
  return bytes.readUInt32LE(LENGTHS + 4 * index)
}

function readJws (bytes: Buffer): string {
  const payload = HEAD + lengthOf(bytes, 0)
  const signature = payload + lengthOf(bytes, 1)
  const end = signature + lengthOf(bytes, 2)
  return `${bytes.toString('base64url', HEAD, payload)}.${bytes.toString('base64url', payload, signature)}.` +
    bytes.toString('base64url', signature, end)
}

function readText (bytes: Buffer, kindAt: number, start: number, end: number): string {
  return bytes.toString(bytes[kindAt] === ASCII ? 'latin1' : 'utf16le', start, end)
}
