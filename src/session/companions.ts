// The small cookies beside a session: the last activity, which an idle timeout asks for, and the routing key.
import { randomBytes } from 'node:crypto'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import type { Cookies, OwnCookies } from './cookies.ts'
import type { Sealer } from './seal.ts'
import { sessionEnd, type OpenedSession, type Session } from './session.ts'
import type { SessionState, SessionStore } from './store.ts'

/** What the companions need. */
export interface CompanionOptions {
  readonly cookies: Cookies
  readonly sealer: Sealer
  readonly clock: Clock
  /** Seconds without activity after which a session ends; 0: never. */
  readonly idleTimeout: number
  /** Whether logins set a routing key. */
  readonly routing: boolean
}

/** Keeps the last activity of sessions. */
export interface Activity {
  /** When the session ends if nothing happens, in Unix seconds; `null`: without an idle timeout. */
  idleEnd (state: SessionState): number | null
  /** Whether the activity cookie is old enough to be written anew. */
  isDue (state: SessionState): boolean
  /** The `Set-Cookie` value that says: active now. */
  mark (session: Session): Promise<string>
}

/** A store that heeds the companions, and the activity that answers may write. */
export interface Companions { readonly store: SessionStore, readonly activity: Activity }

/** Seconds between two writes of the activity, unless a quarter of the timeout is less. */
const WRITE_EVERY = 60

/**
 * Adds the companions to a store: logins write them, a session without the activity it must have is over.
 *
 * @param store the sessions themselves
 * @param options what the companions need
 */
export function withCompanions (store: SessionStore, options: CompanionOptions): Companions {
  const { cookies, sealer, clock, idleTimeout, routing } = options
  const writeEvery = Math.min(WRITE_EVERY, idleTimeout / 4)

  function read (cookieHeader: string | undefined): SessionState {
    const state = store.read(cookieHeader)
    if (state.session === null || idleTimeout === 0) return state
    const at = lastActivity(state.session, state.own)
    if (at !== null && unixSeconds(clock) < at + idleTimeout) return { ...state, lastActiveAt: at }
    return { session: null, error: 'session_expired', isSpent: false, own: state.own }
  }

  function lastActivity (session: OpenedSession, own: OwnCookies): number | null {
    const name = cookies.name('idle')
    const value = own.duplicates.has(name) ? undefined : own.values.get(name)
    const bytes = value === undefined ? null : sealer.open('idle', value)
    if (bytes === null) return null
    const { sid, at } = JSON.parse(bytes.toString()) as { sid: string, at: number }
    return sid === session.sid ? at : null
  }

  async function mark (session: Session): Promise<string> {
    const now = unixSeconds(clock)
    const value = await sealer.seal('idle', Buffer.from(JSON.stringify({ sid: session.sid, at: now })))
    return cookies.set('idle', undefined, value, Math.max(0, sessionEnd(session) - now))
  }

  /** A login is the only write of generation 0. */
  async function write (session: Session, own: OwnCookies | null): Promise<string[]> {
    const setCookies = await store.write(session, own)
    if (session.generation > 0) return setCookies
    if (idleTimeout > 0) setCookies.push(await mark(session))
    const maxAge = sessionEnd(session) - session.createdAt
    if (routing) setCookies.push(cookies.set('route', undefined, routingKey(own), maxAge))
    return setCookies
  }

  /** A key that the browser has stays: the replica that it leads to remembers what is in flight. */
  function routingKey (own: OwnCookies | null): string {
    const present = own?.values.get(cookies.name('route')) ?? ''
    return /^[A-Za-z0-9_-]{22}$/.test(present) ? present : randomBytes(16).toString('base64url')
  }

  return {
    store: { ...store, read, write },
    activity: {
      idleEnd: ({ lastActiveAt }) => lastActiveAt === undefined ? null : lastActiveAt + idleTimeout,
      isDue: ({ lastActiveAt }) =>
        lastActiveAt !== undefined && unixSeconds(clock) >= lastActiveAt + writeEvery,
      mark
    }
  }
}
