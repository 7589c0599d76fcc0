// A session becomes bytes and back: which fields, in which order; docs/cookie-format.md describes each byte.
import { ByteWriter, type ByteReader } from './bytes.ts'
import { pack, unpack } from './packing.ts'
import type { Session, SessionHead } from './session.ts'
import { TextWriter, type TextReader } from './text-parts.ts'

/** Which optional fields follow, in this order. */
const FLAGS = {
  binarySid: 1,
  providerSid: 2,
  refreshToken: 4,
  idToken: 8,
  scope: 16,
  authTime: 32,
  refreshTokenExpiresAt: 64,
  claims: 128,
  extra: 256
} as const

/** The refresh token of a session in the split layout, and which session and generation it belongs to. */
export type RefreshPart = Required<Pick<Session, 'sid' | 'generation' | 'refreshToken'>>
  & Pick<Session, 'refreshTokenExpiresAt'>

/**
 * Encodes a session. Times are kept as whole seconds.
 *
 * @param session what to keep
 * @throws {RangeError} if its text is larger than 64 KiB
 */
export function encodeSession (session: Session): Buffer {
  const {
    sid, generation, subject, providerSid, accessToken, accessTokenExpiresAt, accessTokenIssuedAt,
    refreshToken, refreshTokenExpiresAt, idToken, scope, claims, createdAt, expiresAt, authTime, ...extra
  } = session
  const hasClaims = Object.keys(claims).length > 0
  const hasExtra = Object.values(extra).some((value) => value !== undefined)
  const flags = (isBinarySid(sid) ? FLAGS.binarySid : 0) | flag('providerSid', providerSid) |
    flag('refreshToken', refreshToken) | flag('idToken', idToken) | flag('scope', scope) |
    flag('authTime', authTime) | flag('refreshTokenExpiresAt', refreshTokenExpiresAt) |
    (hasClaims ? FLAGS.claims : 0) | (hasExtra ? FLAGS.extra : 0)

  const numbers = new ByteWriter()
  const text = new TextWriter(numbers)
  numbers.varint(flags)
  numbers.varint(seconds(generation))
  const created = seconds(createdAt)
  numbers.varint(created)
  numbers.signed(seconds(expiresAt) - created)
  numbers.signed(seconds(accessTokenIssuedAt) - created)
  numbers.signed(seconds(accessTokenExpiresAt) - created)
  if (authTime !== undefined) numbers.signed(seconds(authTime) - created)
  if (refreshTokenExpiresAt !== undefined) numbers.signed(seconds(refreshTokenExpiresAt) - created)
  writeSid(sid, numbers, text)
  text.token(accessToken)
  if (idToken !== undefined) text.token(idToken)
  if (refreshToken !== undefined) text.token(refreshToken)
  text.string(subject)
  if (providerSid !== undefined) text.string(providerSid)
  if (scope !== undefined) text.string(scope)
  if (hasClaims) text.string(JSON.stringify(claims))
  if (hasExtra) text.string(JSON.stringify(extra))
  return pack(numbers, text)
}

/**
 * Decodes a session.
 *
 * @param bytes what {@link encodeSession} made
 * @returns the session, or `null` for another major version or what is no session
 */
export function decodeSession (bytes: Buffer): Session | null {
  return unpack(bytes, readSession)
}

/**
 * Decodes what every request needs of a session, and nothing else.
 *
 * @param bytes what {@link encodeSession} made
 * @returns the first fields, or `null` for another major version or what is no session
 */
export function decodeHead (bytes: Buffer): SessionHead | null {
  return unpack(bytes, readHead, true)
}

/** The fields that stand first, and `flags`, which say what follows. */
interface Head extends SessionHead { readonly flags: number, readonly authTime: number | undefined }

function readHead (numbers: ByteReader, text: TextReader, bytes: Buffer): Head {
  const flags = numbers.varint()
  const generation = numbers.varint()
  const createdAt = numbers.varint()
  const expiresAt = createdAt + numbers.signed()
  const accessTokenIssuedAt = createdAt + numbers.signed()
  const accessTokenExpiresAt = createdAt + numbers.signed()
  const authTime = has(flags, 'authTime') ? createdAt + numbers.signed() : undefined
  const refreshTokenExpiresAt = has(flags, 'refreshTokenExpiresAt') ? createdAt + numbers.signed() : undefined
  const sid = readSid(flags, numbers, text, bytes)
  const accessToken = text.token()
  const hasRefreshToken = has(flags, 'refreshToken')
  return {
    flags,
    sid,
    generation,
    accessToken,
    accessTokenExpiresAt,
    accessTokenIssuedAt,
    hasRefreshToken,
    refreshTokenExpiresAt,
    createdAt,
    expiresAt,
    authTime
  }
}

function readSession (numbers: ByteReader, text: TextReader, bytes: Buffer): Session {
  const {
    flags, sid, generation, accessToken, accessTokenExpiresAt, accessTokenIssuedAt, refreshTokenExpiresAt,
    createdAt, expiresAt, authTime
  } = readHead(numbers, text, bytes)
  const idToken = has(flags, 'idToken') ? text.token() : undefined
  const refreshToken = has(flags, 'refreshToken') ? text.token() : undefined
  const subject = text.string()
  const providerSid = has(flags, 'providerSid') ? text.string() : undefined
  const scope = has(flags, 'scope') ? text.string() : undefined
  const claims = has(flags, 'claims') ? JSON.parse(text.string()) as Session['claims'] : {}
  const session: Mutable<Session> = {
    sid,
    generation,
    subject,
    accessToken,
    accessTokenExpiresAt,
    accessTokenIssuedAt,
    claims,
    createdAt,
    expiresAt
  }
  if (providerSid !== undefined) session.providerSid = providerSid
  if (refreshToken !== undefined) session.refreshToken = refreshToken
  if (refreshTokenExpiresAt !== undefined) session.refreshTokenExpiresAt = refreshTokenExpiresAt
  if (idToken !== undefined) session.idToken = idToken
  if (scope !== undefined) session.scope = scope
  if (authTime !== undefined) session.authTime = authTime
  return has(flags, 'extra') ? { ...JSON.parse(text.string()) as object, ...session } : session
}

/**
 * Encodes a refresh token of its own.
 *
 * @param part what to keep
 */
export function encodeRefreshPart (part: RefreshPart): Buffer {
  const numbers = new ByteWriter()
  const text = new TextWriter(numbers)
  const expires = part.refreshTokenExpiresAt
  numbers.varint((isBinarySid(part.sid) ? FLAGS.binarySid : 0) | flag('refreshTokenExpiresAt', expires))
  numbers.varint(seconds(part.generation))
  if (expires !== undefined) numbers.varint(seconds(expires))
  writeSid(part.sid, numbers, text)
  text.token(part.refreshToken)
  return pack(numbers, text)
}

/**
 * Decodes a refresh token of its own.
 *
 * @param bytes what {@link encodeRefreshPart} made
 * @returns the part, or `null` for another major version or what is none
 */
export function decodeRefreshPart (bytes: Buffer): RefreshPart | null {
  return unpack(bytes, (numbers, text) => {
    const flags = numbers.varint()
    const generation = numbers.varint()
    const expires = has(flags, 'refreshTokenExpiresAt') ? numbers.varint() : undefined
    const sid = readSid(flags, numbers, text, bytes)
    const refreshToken = text.token()
    const part = { sid, generation, refreshToken }
    return expires === undefined ? part : { ...part, refreshTokenExpiresAt: expires }
  })
}

/** The `sid` is 128 bits in base64url; any other text is kept as such. */
function isBinarySid (sid: string): boolean {
  const bytes = Buffer.from(sid, 'base64url')
  return bytes.length === 16 && bytes.toString('base64url') === sid
}

function writeSid (sid: string, numbers: ByteWriter, text: TextWriter): void {
  if (isBinarySid(sid)) numbers.raw(Buffer.from(sid, 'base64url'))
  else text.string(sid)
}

function readSid (flags: number, numbers: ByteReader, text: TextReader, bytes: Buffer): string {
  if (!has(flags, 'binarySid')) return text.string()
  const start = numbers.skip(16)
  return bytes.toString('base64url', start, start + 16)
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function flag (name: keyof typeof FLAGS, value: unknown): number {
  return value === undefined ? 0 : FLAGS[name]
}

function has (flags: number, name: keyof typeof FLAGS): boolean {
  return (flags & FLAGS[name]) !== 0
}

/** Whole seconds from 0 to 2^48; what is no number counts as long past. */
function seconds (time: number): number {
  return time >= 0 ? Math.min(Math.floor(time), 2 ** 48) : 0
}
