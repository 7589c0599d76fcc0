// What a browser must remember of sessions that are over: who was logged out, which refresh token is dead.
import { unixSeconds, type Clock } from '../lib/clock.ts'
import type { Cookies, OwnCookies } from './cookies.ts'
import type { Sealer } from './seal.ts'
import type { Session } from './session.ts'

/** A session that is over: its `sid`, and until when (Unix seconds) a late answer could bring it back. */
export type Ended = Pick<Session, 'sid' | 'expiresAt'>

/** Reads and writes the notes. */
export interface Notes {
  /** Whether the tombstone names a session. */
  isEnded (sid: string, own: OwnCookies): boolean
  /** The highest generation of a session that is marked as spent. */
  spentGeneration (sid: string, own: OwnCookies): number | undefined
  /** The `Set-Cookie` value of a tombstone for these sessions and those it named before; `null` for none. */
  bury (ended: readonly Ended[], own: OwnCookies): Promise<string | null>
  /** The `Set-Cookie` value that marks a generation, and all before it, as spent. */
  markSpent (session: Session): Promise<string>
}

/** What the notes need. */
export interface NotesOptions { readonly cookies: Cookies, readonly sealer: Sealer, readonly clock: Clock }

/**
 * The most sessions that a tombstone names. An answer that brings a session back is under way for a minute at
 * most: nobody logs out more often in that time.
 */
const MAX_ENDED = 8

/**
 * Creates the notes.
 *
 * @param options what they need
 */
export function createNotes (options: NotesOptions): Notes {
  const { cookies, sealer, clock } = options

  function open<T> (kind: 'end' | 'spent', own: OwnCookies): T | null {
    const name = cookies.name(kind)
    const value = own.duplicates.has(name) ? undefined : own.values.get(name)
    const bytes = value === undefined ? null : sealer.open(kind, value)
    return bytes === null ? null : JSON.parse(bytes.toString()) as T
  }

  async function write (kind: 'end' | 'spent', content: object, until: number): Promise<string> {
    const value = await sealer.seal(kind, Buffer.from(JSON.stringify(content)))
    return cookies.set(kind, undefined, value, Math.max(0, until - unixSeconds(clock)))
  }

  const buried = (own: OwnCookies): Array<[sid: string, expiresAt: number]> => open('end', own) ?? []

  return {
    // A tombstone that comes twice cannot be read, and whoever planted the second must not raise the dead.
    isEnded: (sid, own) => own.duplicates.has(cookies.name('end')) || buried(own).some(([ended]) => ended === sid),
    spentGeneration: (sid, own) => {
      const spent = open<{ sid: string, generation: number }>('spent', own)
      return spent?.sid === sid ? spent.generation : undefined
    },
    bury: async (ended, own) => {
      if (ended.length === 0) return null
      const newest = ended.map(({ sid, expiresAt }): [string, number] => [sid, expiresAt])
      const before = buried(own).filter(([sid]) => !newest.some(([again]) => again === sid))
      const now = unixSeconds(clock)
      const list = [...newest, ...before].filter(([, expiresAt]) => expiresAt > now).slice(0, MAX_ENDED)
      const until = Math.max(...list.map(([, expiresAt]) => expiresAt))
      return list.length === 0 ? null : await write('end', list, until)
    },
    markSpent: async ({ sid, generation, expiresAt }) => await write('spent', { sid, generation }, expiresAt)
  }
}
