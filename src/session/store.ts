// Request → session and session → Set-Cookie: composes codec, seal, chunks and cookies.
import type { Clock } from '../lib/clock.ts'
import { unixSeconds } from '../lib/clock.ts'
import { BullaError, type ErrorCode } from '../lib/errors.ts'
import { chunkCapacity, clearSurplus, MAX_CHUNKS, presentChunks, splitChunks } from './chunks.ts'
import { decodeSession, encodeSession } from './codec.ts'
import type { Cookies, OwnCookies } from './cookies.ts'
import type { Sealer } from './seal.ts'
import { isExpired, sessionEnd, type Session } from './session.ts'

/** What a request's cookies amount to. */
export interface SessionState {
  readonly session: Session | null
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
  /** `Set-Cookie` values that end a session: a tombstone, and the deletion of every chunk. */
  end (session: Session | null, own: OwnCookies): Promise<string[]>
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
  /** `split`: the refresh token has a cookie of its own, limited to the base path. Default `whole`. */
  readonly layout?: 'whole' | 'split'
}

/**
 * Creates the store.
 *
 * @param options what it needs
 */
export function createSessionStore (options: SessionStoreOptions): SessionStore {
  const { cookies, sealer, clock, budget, layout = 'whole' } = options
  const capacity = chunkCapacity(cookies.name('session', 0))

  function read (cookieHeader: string | undefined): SessionState {
    const own = cookies.read(cookieHeader)
    const session = withRefreshPart(openChunks(presentChunks(cookies, 'session', own)), own)
    if (session === null) return { session: null, error: 'login_required', isSpent: false, own }
    const now = unixSeconds(clock)
    if (isExpired(session, now)) return { session: null, error: 'session_expired', isSpent: false, own }
    if (openNote('end', own)?.sid === session.sid) {
      return { session: null, error: 'login_required', isSpent: false, own }
    }
    const spent = openNote('spent', own)
    if (spent?.sid !== session.sid) return { session, error: null, isSpent: false, own }
    const { generation } = spent
    return { session, error: null, isSpent: generation >= session.generation, spentGeneration: generation, own }
  }

  /** The split layout: a refresh token counts only beside the very session that it was sealed with. */
  function withRefreshPart (session: Session | null, own: OwnCookies): Session | null {
    if (session === null || layout === 'whole') return session
    const bytes = sealer.open('refresh', presentChunks(cookies, 'refresh', own).join(''))
    if (bytes === null) return session
    const part = JSON.parse(bytes.toString()) as Note & { refreshToken: string }
    if (part.sid !== session.sid || part.generation !== session.generation) return session
    return { ...session, refreshToken: part.refreshToken }
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
    const { refreshToken, ...withoutRefreshToken } = session
    const isSplit = layout === 'split' && refreshToken !== undefined
    const chunks = await sealChunks(isSplit ? withoutRefreshToken : session)
    const maxAge = Math.max(0, sessionEnd(session) - unixSeconds(clock))
    const { sid, generation } = session
    const part = Buffer.from(JSON.stringify({ sid, generation, refreshToken }))
    const parts = isSplit ? splitChunks(await sealer.seal('refresh', part), capacity) : []
    return [
      ...chunks.map((chunk, index) => cookies.set('session', index, chunk, maxAge)),
      ...parts.map((chunk, index) => cookies.set('refresh', index, chunk, maxAge)),
      ...clearSurplus(cookies, 'session', own, chunks.length),
      ...(layout === 'split' ? clearSurplus(cookies, 'refresh', own, parts.length) : [])
    ]
  }

  async function sealChunks (session: Session): Promise<string[]> {
    for (const candidate of shed(session)) {
      const payload = encodeSession(candidate)
      let chunks: string[] = []
      for (let count = 1; count <= MAX_CHUNKS; count++) {
        const counted = Buffer.concat([Buffer.of(count), payload])
        chunks = splitChunks(await sealer.seal('session', counted), capacity)
        if (chunks.length === count) break
      }
      const size = chunks.reduce((sum, chunk, index) => sum + cookies.name('session', index).length + chunk.length, 0)
      if (size <= budget && chunks.length <= MAX_CHUNKS) return chunks
    }
    throw new BullaError('session_too_large')
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
      ...clearSurplus(cookies, 'session', own, 0),
      ...(layout === 'split' ? clearSurplus(cookies, 'refresh', own, 0) : []),
      ...(own.values.has(cookies.name('spent')) ? [cookies.clear('spent')] : [])
    ]
  }
}

/** The session, then what is left of it when the least needed parts go. */
function * shed (session: Session): Generator<Session> {
  yield session
  const { idToken, ...withoutIdToken } = session
  if (idToken !== undefined) yield withoutIdToken
  yield { ...withoutIdToken, claims: {} }
}
