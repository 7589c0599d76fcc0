// Opened sessions: what every request needs is decoded at once, the rest of the bytes when it is asked for.
import { BullaError } from '../lib/errors.ts'
import { decodeHead, decodeSession } from './codec.ts'
import type { OpenedSession, Session, SessionHead, SessionSummary } from './session.ts'

/**
 * Opens the bytes of a session.
 *
 * @param bytes what `encodeSession` made
 * @returns the session, or `null` for another major version or what is no session
 */
export function openSession (bytes: Buffer): OpenedSession | null {
  const head = decodeHead(bytes)
  return head === null ? null : new Opened(head, null, () => decodeSession(bytes))
}

/**
 * A session of which all is known, as one that was opened.
 *
 * @param session all of it
 */
export function openedOf (session: Session): OpenedSession {
  const hasRefreshToken = session.refreshToken !== undefined
  return new Opened({ ...session, hasRefreshToken }, session, () => session)
}

/**
 * A session of which the most needed is known, as one that was opened.
 *
 * @param summary what is known
 * @param read gives all of it, or `null` if it cannot be opened any more
 */
export function openedFrom (summary: SessionSummary, read: () => Session | null): OpenedSession {
  return new Opened(summary, summary, read)
}

/** Who a session is of. */
type Person = Pick<Session, 'subject'> & { readonly providerSid?: string | undefined }

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
  readonly #person: Person | null
  /** Let go of once it was called, with what it holds. */
  #read: (() => Session | null) | null
  #whole: Session | null = null

  constructor (head: SessionHead, person: Person | null, read: () => Session | null) {
    this.sid = head.sid
    this.generation = head.generation
    this.accessToken = head.accessToken
    this.accessTokenExpiresAt = head.accessTokenExpiresAt
    this.accessTokenIssuedAt = head.accessTokenIssuedAt
    this.hasRefreshToken = head.hasRefreshToken
    this.refreshTokenExpiresAt = head.refreshTokenExpiresAt
    this.createdAt = head.createdAt
    this.expiresAt = head.expiresAt
    this.#person = person
    this.#read = read
  }

  get subject (): string { return (this.#person ?? this.whole()).subject }

  get providerSid (): string | undefined { return (this.#person ?? this.whole()).providerSid }

  whole (): Session {
    if (this.#read !== null) this.#whole = this.#read()
    this.#read = null
    // What a key of ours has sealed can be decoded; if a release ever seals otherwise, it is no session.
    if (this.#whole === null) {
      throw new BullaError('login_required', { cause: new Error('a sealed session cannot be decoded') })
    }
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
