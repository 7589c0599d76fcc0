// Request → session and session → Set-Cookie: composes codec, seal, chunks and cookies.
import type { Clock } from '../lib/clock.ts'
import { unixSeconds } from '../lib/clock.ts'
import type { ErrorCode } from '../lib/errors.ts'
import { clearAll } from './chunks.ts'
import type { Cookies, OwnCookies } from './cookies.ts'
import { createNotes, type Ended } from './notes.ts'
import { wholeOf } from './opened-session.ts'
import type { Sealer } from './seal.ts'
import { createSealedSessions, type SealedSessionsOptions } from './sealed-session.ts'
import { isExpired, sessionEnd, type OpenedSession, type Session } from './session.ts'

/** What a request's cookies amount to. */
export interface SessionState {
  readonly session: OpenedSession | null
  /** Why there is no session; `null` if there is one. */
  readonly error: ErrorCode | null
  /** Whether the session's refresh token is known to be dead. */
  readonly isSpent: boolean
  /** The highest generation of this session whose refresh token is known to be dead; none: `undefined`. */
  readonly spentGeneration?: number
  /** The last activity in Unix seconds; only if there is an idle timeout. */
  readonly lastActiveAt?: number
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
export interface SessionStoreOptions extends SealedSessionsOptions {
  readonly cookies: Cookies
  readonly sealer: Sealer
  readonly clock: Clock
}

/**
 * Creates the store.
 *
 * @param options what it needs
 */
export function createSessionStore (options: SessionStoreOptions): SessionStore {
  const { cookies, sealer, clock } = options
  const sealed = createSealedSessions(options)
  const notes = createNotes({ cookies, sealer, clock })

  function read (cookieHeader: string | undefined): SessionState {
    const own = cookies.read(cookieHeader)
    const now = unixSeconds(clock)
    const session = sealed.open(own, now)
    if (session === null) return { session: null, error: 'login_required', isSpent: false, own }
    if (isExpired(session, now)) return { session: null, error: 'session_expired', isSpent: false, own }
    if (notes.isEnded(session.sid, own)) {
      return { session: null, error: 'login_required', isSpent: false, own }
    }
    const spentGeneration = notes.spentGeneration(session.sid, own)
    if (spentGeneration === undefined) return { session, error: null, isSpent: false, own }
    return { session, error: null, isSpent: spentGeneration >= session.generation, spentGeneration, own }
  }

  async function write (session: Session, own: OwnCookies | null): Promise<string[]> {
    return await sealed.write(session, own, Math.max(0, sessionEnd(session) - unixSeconds(clock)))
  }

  return {
    read,
    write,
    open: (own) => {
      const session = sealed.open(own, unixSeconds(clock))
      return session === null ? null : wholeOf(session)
    },
    markSpent: notes.markSpent,
    end: async (session, own, logins = []) => {
      const tombstone = await notes.bury([...(session === null ? [] : [session]), ...logins], own)
      const cleared = [...clearAll(cookies, own), ...sealed.clearHidden(own)]
      return tombstone === null ? cleared : [tombstone, ...cleared]
    }
  }
}
