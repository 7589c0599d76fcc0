// A session as sealed cookies: one value or, with the refresh token apart, two; within the budget; memoised.
import { BullaError } from '../lib/errors.ts'
import { clearSurplus, createSealedChunks } from './chunks.ts'
import { decodeRefreshPart, encodeRefreshPart, encodeSession } from './codec.ts'
import type { Cookies, OwnCookies } from './cookies.ts'
import { createKnownSessions } from './known-sessions.ts'
import { openedOf, openSession, wholeOf } from './opened-session.ts'
import type { Sealer } from './seal.ts'
import type { OpenedSession, Session } from './session.ts'

/** `single`: all in one value. `split`: the refresh token in a cookie that only travels to the base path. */
export type Layout = 'single' | 'split'

/** What a written session takes. */
export interface SessionSize {
  /** Bytes of all its cookies, names and values. */
  readonly bytes: number
  readonly budget: number
  readonly chunks: number
  /** What had to go. */
  readonly shed: ReadonlyArray<'id_token' | 'claims'>
}

/** Seals sessions into cookies, and opens them. */
export interface SealedSessions {
  /** The session that the cookies hold; `null` for none, or if any of our names came twice. */
  open (own: OwnCookies, now: number): OpenedSession | null
  /**
   * `Set-Cookie` values for a session, and the deletion of every chunk that it no longer needs.
   *
   * @throws {BullaError} `session_too_large`, its cause naming the parts and their sizes
   */
  write (session: Session, own: OwnCookies | null, maxAge: number): Promise<string[]>
  /** `Set-Cookie` values that delete the chunks which a request outside of the base path does not show. */
  clearHidden (own: OwnCookies): string[]
}

/** What sealing sessions needs. */
export interface SealedSessionsOptions {
  readonly cookies: Cookies
  readonly sealer: Sealer
  /** The most bytes of all chunks together, names included. */
  readonly budget: number
  /** Default: `single`. */
  readonly layout?: Layout | undefined
  /** About how many bytes of memory may hold opened sessions that come often; 0 for none. Default: 4 MiB. */
  readonly memoBytes?: number | undefined
  /** About how many bytes may hold what calls need of the others; 0 for none. Default: 44 MiB. */
  readonly shelfBytes?: number | undefined
  /** Told of each session that was written. */
  readonly onWrite?: ((size: SessionSize) => void) | undefined
}

/** Some 500 sessions with tokens as Keycloak makes them, and some 37,000, within 150 MB of the process. */
const MEMO_BYTES = 4 * 1024 * 1024
const SHELF_BYTES = 44 * 1024 * 1024

/**
 * Creates what seals sessions.
 *
 * @param options what it needs
 */
export function createSealedSessions (options: SealedSessionsOptions): SealedSessions {
  const { cookies, sealer, budget, layout = 'single', memoBytes = MEMO_BYTES, shelfBytes = SHELF_BYTES } = options
  const sessionChunks = createSealedChunks(cookies, sealer, 'session')
  const refreshChunks = createSealedChunks(cookies, sealer, 'refresh')
  const known = createKnownSessions({
    memoBytes,
    shelfBytes,
    reopen: (text) => {
      const session = openSealed(text)
      return session === null ? null : wholeOf(session)
    }
  })
  const loginStem = cookies.name('login', '')
  let ring = sealer.keyring()

  function open (own: OwnCookies, now: number): OpenedSession | null {
    if (hasTwins(own)) return null
    const text = sessionChunks.gather(own)
    const session = text === null ? null : openText(text, now)
    return session === null ? null : withRefreshPart(session, own)
  }

  /** A login's cookie that comes twice spoils that login only. */
  function hasTwins ({ duplicates }: OwnCookies): boolean {
    for (const name of duplicates) if (!name.startsWith(loginStem)) return true
    return false
  }

  function openText (text: string, now: number): OpenedSession | null {
    if (ring !== sealer.keyring()) {
      ring = sealer.keyring()
      known.clear()
    }
    const remembered = known.get(text, now)
    if (remembered !== undefined) return remembered
    const session = openSealed(text)
    if (session !== null) known.set(text, session, now)
    return session
  }

  function openSealed (text: string): OpenedSession | null {
    const bytes = sessionChunks.open(text)
    return bytes === null ? null : openSession(bytes)
  }

  /** A refresh token of its own counts only beside the very generation that it was sealed with. */
  function withRefreshPart (session: OpenedSession, own: OwnCookies): OpenedSession {
    if (session.hasRefreshToken || !own.values.has(cookies.name('refresh', 0))) return session
    const text = refreshChunks.gather(own)
    const bytes = text === null ? null : refreshChunks.open(text)
    const part = bytes === null ? null : decodeRefreshPart(bytes)
    if (part === null || part.sid !== session.sid || part.generation !== session.generation) return session
    const whole = wholeOf(session)
    return whole === null ? session : openedOf({ ...whole, ...part })
  }

  async function write (session: Session, own: OwnCookies | null, maxAge: number): Promise<string[]> {
    const sealed = await sealWithin(session)
    return [
      ...sealed.session.map((chunk, index) => cookies.set('session', index, chunk, maxAge)),
      ...sealed.refresh.map((chunk, index) => cookies.set('refresh', index, chunk, maxAge)),
      ...clearSurplus(cookies, 'session', own, sealed.session.length),
      ...clearRefresh(own, sealed.refresh.length)
    ]
  }

  /** Tries the whole session, then what is left of it when the least needed parts go. */
  async function sealWithin (session: Session): Promise<Sealed> {
    let bytes = Infinity
    for (const { kept, shed } of shedding(session)) {
      const sealed = await seal(kept)
      if (sealed === null) continue
      bytes = sessionChunks.size(sealed.session) + refreshChunks.size(sealed.refresh)
      if (bytes > budget) continue
      options.onWrite?.({ bytes, budget, chunks: sealed.session.length + sealed.refresh.length, shed })
      return sealed
    }
    throw new BullaError('session_too_large', { cause: new Error(describeSizes(session, bytes, budget)) })
  }

  async function seal (session: Session): Promise<Sealed | null> {
    const { refreshToken, refreshTokenExpiresAt, ...rest } = session
    const part = layout === 'single' || refreshToken === undefined
      ? null
      : { sid: session.sid, generation: session.generation, refreshToken, ...expiry(refreshTokenExpiresAt) }
    try {
      const sessionPart = await sessionChunks.seal(encodeSession(part === null ? session : rest))
      const refreshPart = part === null ? [] : await refreshChunks.seal(encodeRefreshPart(part))
      if (sessionPart === null || refreshPart === null) return null
      return { session: sessionPart, refresh: refreshPart }
    } catch (error) {
      if (error instanceof RangeError) return null
      throw error
    }
  }

  /** Outside of the base path a request does not show these chunks: then every possible one goes. */
  function clearRefresh (own: OwnCookies | null, count: number): string[] {
    const isSeen = own?.values.has(cookies.name('refresh', 0)) === true
    return clearSurplus(cookies, 'refresh', isSeen || layout === 'single' ? own ?? NONE : null, count)
  }

  return {
    open,
    write,
    clearHidden: (own) => own.values.has(cookies.name('refresh', 0)) ? [] : clearRefresh(own, 0)
  }
}

interface Sealed { readonly session: readonly string[], readonly refresh: readonly string[] }

const NONE: OwnCookies = { values: new Map(), duplicates: new Set() }

function expiry (refreshTokenExpiresAt: number | undefined): Pick<Session, 'refreshTokenExpiresAt'> {
  return refreshTokenExpiresAt === undefined ? {} : { refreshTokenExpiresAt }
}

function * shedding (session: Session): Generator<{ kept: Session, shed: SessionSize['shed'] }> {
  yield { kept: session, shed: [] }
  const { idToken, ...withoutIdToken } = session
  if (idToken !== undefined) yield { kept: withoutIdToken, shed: ['id_token'] }
  const shed: SessionSize['shed'] = idToken === undefined ? [] : ['id_token']
  yield { kept: { ...withoutIdToken, claims: {} }, shed: [...shed, 'claims'] }
}

/** Names and sizes only: this goes to the log. */
function describeSizes (session: Session, bytes: number, budget: number): string {
  const sealed = bytes === Infinity ? 'too much for any cookie' : `${bytes} bytes`
  return `sealed ${sealed} of ${budget} without ID token and claims; characters: access token ` +
    `${session.accessToken.length}, refresh token ${session.refreshToken?.length ?? 0}, ID token ` +
    `${session.idToken?.length ?? 0}, claims ${JSON.stringify(session.claims).length}`
}
