// Opened sessions: what every request needs is decoded at once, the rest of the bytes when it is asked for.
import { BullaError } from '../lib/errors.ts'
import { decodeHead, decodeSession } from './codec.ts'
import type { OpenedSession, Session, SessionHead } from './session.ts'

/**
 * Opens the bytes of a session.
 *
 * @param bytes what `encodeSession` made
 * @returns the session, or `null` for another major version or what is no session
 */
export function openSession (bytes: Buffer): OpenedSession | null {
  const head = decodeHead(bytes)
  return head === null ? null : new Opened(head, head.hasRefreshToken, bytes)
}

/**
 * A session of which all is known, as one that was opened.
 *
 * @param session all of it
 */
export function openedOf (session: Session): OpenedSession {
  return new Opened(session, session.refreshToken !== undefined, session)
}

class Opened implements OpenedSession {
  readonly sid: string
  readonly generation: number
  readonly accessToken: string
  readonly accessTokenExpiresAt: number
  readonly accessTokenIssuedAt: number
  readonly hasRefreshToken: boolean
  readonly refreshTokenExpiresAt: number | undefined
  readonly createdAt: number
  readonly expiresAt: number
  #whole: Session | Buffer

  constructor (head: Omit<SessionHead, 'hasRefreshToken'>, hasRefreshToken: boolean, whole: Session | Buffer) {
    this.sid = head.sid
    this.generation = head.generation
    this.accessToken = head.accessToken
    this.accessTokenExpiresAt = head.accessTokenExpiresAt
    this.accessTokenIssuedAt = head.accessTokenIssuedAt
    this.hasRefreshToken = hasRefreshToken
    this.refreshTokenExpiresAt = head.refreshTokenExpiresAt
    this.createdAt = head.createdAt
    this.expiresAt = head.expiresAt
    this.#whole = whole
  }

  get subject (): string { return this.whole().subject }

  get providerSid (): string | undefined { return this.whole().providerSid }

  whole (): Session {
    if (Buffer.isBuffer(this.#whole)) this.#whole = decodeWhole(this.#whole)
    return this.#whole
  }
}

/**
 * All of a session.
 *
 * @returns `null` if it cannot be decoded
 */
export function wholeOf (session: OpenedSession): Session | null {
  try {
    return session.whole()
  } catch {
    return null
  }
}

/** What a key of ours has sealed can be decoded; if a release ever seals otherwise, it is no session. */
function decodeWhole (bytes: Buffer): Session {
  const session = decodeSession(bytes)
  if (session === null) throw new BullaError('login_required', { cause: new Error('a sealed session cannot be decoded') })
  return session
}
