// One sealed cookie for each login in flight, few of them, the oldest giving way.
import { unixSeconds, type Clock } from '../lib/clock.ts'
import type { Cookies, OwnCookies } from './cookies.ts'
import type { Sealer } from './seal.ts'

/** Seconds that a login may take. */
export const LOGIN_LIFETIME = 600

const MAX_LOGINS = 4

/** The most bytes of all login cookies together, names included. */
const LOGIN_BUDGET = 4000

/** Reads and writes the cookies of logins in flight. */
export interface LoginCookies {
  /** `Set-Cookie` values that keep a login, and delete those that must give way to it. */
  write (id: string, state: object, own: OwnCookies): Promise<string[]>
  /** What was kept under an id; `'expired'` if it is too old, `null` if there is none that opens. */
  read (id: string, own: OwnCookies): object | 'expired' | null
  /** The `Set-Cookie` value that deletes a login. */
  clear (id: string): string
}

interface Kept { readonly at: number, readonly state: object }

/**
 * Creates the login cookies.
 *
 * @param cookies names and writes them
 * @param sealer seals them
 * @param clock tells their age
 */
export function createLoginCookies (cookies: Cookies, sealer: Sealer, clock: Clock): LoginCookies {
  const stem = cookies.name('login', '')

  function open (name: string, own: OwnCookies): Kept | null {
    const value = own.duplicates.has(name) ? undefined : own.values.get(name)
    const bytes = value === undefined ? null : sealer.open('login', value)
    return bytes === null ? null : JSON.parse(bytes.toString()) as Kept
  }

  return {
    write: async (id, state, own) => {
      const kept: Kept = { at: unixSeconds(clock), state }
      const value = await sealer.seal('login', Buffer.from(JSON.stringify(kept)))
      const written = cookies.set('login', id, value, LOGIN_LIFETIME)
      let room = LOGIN_BUDGET - stem.length - id.length - value.length
      let places = MAX_LOGINS - 1
      const newestFirst = [...own.values.keys()].filter((name) => name.startsWith(stem))
        .map((name) => ({ name, at: open(name, own)?.at ?? 0 }))
        .sort((a, b) => b.at - a.at)
      const cleared: string[] = []
      for (const { name, at } of newestFirst) {
        room -= name.length + (own.values.get(name)?.length ?? 0)
        places -= 1
        if (at + LOGIN_LIFETIME <= kept.at || room < 0 || places < 0) cleared.push(cookies.clear('login', name.slice(stem.length)))
      }
      return [...cleared, written]
    },
    read: (id, own) => {
      const kept = open(cookies.name('login', id), own)
      if (kept === null) return null
      return kept.at + LOGIN_LIFETIME <= unixSeconds(clock) ? 'expired' : kept.state
    },
    clear: (id) => cookies.clear('login', id)
  }
}
