// Request → session and session → Set-Cookie: composes codec, seal, chunks and cookies.
import type { Clock } from '../lib/clock.ts'
import { unixSeconds } from '../lib/clock.ts'
import type { ErrorCode } from '../lib/errors.ts'
import type { Cookies, OwnCookies } from './cookies.ts'
import type { Sealer } from './seal.ts'
import { createSealedSessions, type SealedSessionsOptions } from './sealed-session.ts'
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
  /** `Set-Cookie` values that end a session: a tombstone, and the deletion of every chunk. */
  end (session: Session | null, own: OwnCookies): Promise<string[]>
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

  function read (cookieHeader: string | undefined): SessionState {
    const own = cookies.read(cookieHeader)
    const now = unixSeconds(clock)
    const session = sealed.open(own, now)
    if (session === null) return { session: null, error: 'login_required', isSpent: false, own }
    if (isExpired(session, now)) return { session: null, error: 'session_expired', isSpent: false, own }
    if (openNote('end', own)?.sid === session.sid) return { session: null, error: 'login_required', isSpent: false, own }
    const spent = openNote('spent', own)
    const isSpent = spent !== null && spent.sid === session.sid && spent.generation >= session.generation
    return { session, error: null, isSpent, own }
  }

  async function write (session: Session, own: OwnCookies | null): Promise<string[]> {
    return await sealed.write(session, own, Math.max(0, session.expiresAt - unixSeconds(clock)))
  }

  interface Note { sid: string, generation: number }

  function openNote (kind: 'end' | 'spent', own: OwnCookies): Note | null {
    const name = cookies.name(kind)
    const value = own.duplicates.has(name) ? undefined : own.values.get(name)
    const bytes = value === undefined ? null : sealer.open(kind, value)
    return bytes === null ? null : JSON.parse(bytes.toString()) as Note
  }

  async function note (kind: 'end' | 'spent', session: Session): Promise<string> {
    const content: Note = { sid: session.sid, generation: session.generation }
    const value = await sealer.seal(kind, Buffer.from(JSON.stringify(content)))
    return cookies.set(kind, undefined, value, Math.max(0, session.expiresAt - unixSeconds(clock)))
  }

  return {
    read,
    write,
    markSpent: async (session) => await note('spent', session),
    end: async (session, own) => [
      ...(session === null ? [] : [await note('end', session)]),
      ...sealed.clear(own),
      ...(own.values.has(cookies.name('spent')) ? [cookies.clear('spent')] : [])
    ]
  }
}
