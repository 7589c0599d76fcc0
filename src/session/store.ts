// Request → session and session → Set-Cookie: composes codec, seal, chunks and cookies.
import type { Clock } from '../lib/clock.ts'
import { unixSeconds } from '../lib/clock.ts'
import { BullaError, type ErrorCode } from '../lib/errors.ts'
import { chunkCapacity, clearAll, clearSurplus, MAX_CHUNKS, presentChunks, splitChunks } from './chunks.ts'
import { decodeSession, encodeSession } from './codec.ts'
import type { Cookies, OwnCookies } from './cookies.ts'
import { createNotes, type Ended } from './notes.ts'
import type { Sealer } from './seal.ts'
import { isExpired, type Session } from './session.ts'

/** What a request's cookies amount to. */
export interface SessionState {
  readonly session: Session | null
  /** Why there is no session; `null` if there is one. */
  readonly error: ErrorCode | null
  /** Whether the session's refresh token is known to be dead. */
  readonly isSpent: boolean
  readonly own: OwnCookies
}

/** Reads and writes sessions. */
export interface SessionStore {
  read (cookieHeader: string | undefined): SessionState
  /** `Set-Cookie` values for a session: its chunks, and the deletion of those that it no longer needs. */
  write (session: Session, own: OwnCookies | null): Promise<string[]>
  /** The session that the cookies hold, whatever has become of it since: for logout only. */
  open (own: OwnCookies): Session | null
  /**
   * `Set-Cookie` values that end a session: a tombstone, and the deletion of every other cookie of ours.
   * `logins` are the sessions that logins in flight would become.
   */
  end (session: Session | null, own: OwnCookies, logins?: readonly Ended[]): Promise<string[]>
  /** The `Set-Cookie` value that marks a generation, and all before it, as spent. */
  markSpent (session: Session): Promise<string>
}

/** What the store needs. */
export interface SessionStoreOptions {
  readonly cookies: Cookies
  readonly sealer: Sealer
  readonly clock: Clock
  /** The most bytes of all chunks together, names included. */
  readonly budget: number
}

/**
 * Creates the store.
 *
 * @param options what it needs
 */
export function createSessionStore (options: SessionStoreOptions): SessionStore {
  const { cookies, sealer, clock, budget } = options
  const notes = createNotes({ cookies, sealer, clock })
  const capacity = chunkCapacity(cookies.name('session', 0))

  function read (cookieHeader: string | undefined): SessionState {
    const own = cookies.read(cookieHeader)
    const session = open(own)
    if (session === null) return { session: null, error: 'login_required', isSpent: false, own }
    const now = unixSeconds(clock)
    if (isExpired(session, now)) return { session: null, error: 'session_expired', isSpent: false, own }
    if (notes.isEnded(session.sid, own)) {
      return { session: null, error: 'login_required', isSpent: false, own }
    }
    const isSpent = (notes.spentGeneration(session.sid, own) ?? -1) >= session.generation
    return { session, error: null, isSpent, own }
  }

  function open (own: OwnCookies): Session | null {
    return openChunks(presentChunks(cookies, 'session', own))
  }

  /** Surplus chunks of an older, longer session may follow: fewer and fewer are tried, at most eight times. */
  function openChunks (chunks: string[]): Session | null {
    for (let count = chunks.length; count > 0; count--) {
      const bytes = sealer.open('session', chunks.slice(0, count).join(''))
      if (bytes !== null) return bytes[0] === count ? decodeSession(bytes.subarray(1)) : null
    }
    return null
  }

  async function write (session: Session, own: OwnCookies | null): Promise<string[]> {
    const chunks = await sealChunks(session)
    const maxAge = Math.max(0, session.expiresAt - unixSeconds(clock))
    return [
      ...chunks.map((chunk, index) => cookies.set('session', index, chunk, maxAge)),
      ...clearSurplus(cookies, 'session', own, chunks.length)
    ]
  }

  async function sealChunks (session: Session): Promise<string[]> {
    for (const candidate of shed(session)) {
      const payload = encodeSession(candidate)
      let chunks: string[] = []
      for (let count = 1; count <= MAX_CHUNKS; count++) {
        chunks = splitChunks(await sealer.seal('session', Buffer.concat([Buffer.of(count), payload])), capacity)
        if (chunks.length === count) break
      }
      const size = chunks.reduce((sum, chunk, index) => sum + cookies.name('session', index).length + chunk.length, 0)
      if (size <= budget && chunks.length <= MAX_CHUNKS) return chunks
    }
    throw new BullaError('session_too_large')
  }

  return {
    read,
    write,
    open,
    markSpent: notes.markSpent,
    end: async (session, own, logins = []) => {
      const tombstone = await notes.bury([...(session === null ? [] : [session]), ...logins], own)
      return [...(tombstone === null ? [] : [tombstone]), ...clearAll(cookies, own)]
    }
  }
}

/** The session, then what is left of it when the least needed parts go. */
function * shed (session: Session): Generator<Session> {
  yield session
  const { idToken, ...withoutIdToken } = session
  if (idToken !== undefined) yield withoutIdToken
  yield { ...withoutIdToken, claims: {} }
}
