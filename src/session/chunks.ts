// Sealed text becomes numbered cookies and back, and which numbers a new set leaves over.
import type { CookieKind, Cookies, OwnCookies } from './cookies.ts'

/** The most chunks a sealed value may have. */
export const MAX_CHUNKS = 8

/** The most bytes of a chunk's name and value together: old engines keep a little less than 4,096. */
export const MAX_COOKIE = 3900

/**
 * How many characters of a value one chunk holds.
 *
 * @param name the longest name of a chunk
 */
export function chunkCapacity (name: string): number {
  return MAX_COOKIE - name.length
}

/**
 * Cuts sealed text into chunks.
 *
 * @param text the sealed text
 * @param capacity characters a chunk
 */
export function splitChunks (text: string, capacity: number): string[] {
  const chunks: string[] = []
  for (let start = 0; start < text.length; start += capacity) chunks.push(text.slice(start, start + capacity))
  return chunks
}

/**
 * The chunks that a request brought, from number 0 on without a gap, at most {@link MAX_CHUNKS}.
 *
 * @param cookies gives the names
 * @param kind whose chunks
 * @param own what the request brought
 * @returns the values in order; none if a name came twice
 */
export function presentChunks (cookies: Cookies, kind: CookieKind, own: OwnCookies): string[] {
  const chunks: string[] = []
  for (let index = 0; index < MAX_CHUNKS; index++) {
    const name = cookies.name(kind, index)
    if (own.duplicates.has(name)) return []
    const value = own.values.get(name)
    if (value === undefined) break
    chunks.push(value)
  }
  return chunks
}

/**
 * `Set-Cookie` values that delete chunks which a set of `count` leaves over.
 *
 * @param cookies writes them
 * @param kind whose chunks
 * @param own what the request brought; `null` if that is not known, and every possible one goes
 * @param count how many chunks stay
 */
export function clearSurplus (cookies: Cookies, kind: CookieKind, own: OwnCookies | null, count: number): string[] {
  const cleared: string[] = []
  for (let index = count; index < MAX_CHUNKS; index++) {
    if (own === null || own.values.has(cookies.name(kind, index))) cleared.push(cookies.clear(kind, index))
  }
  return cleared
}

/**
 * `Set-Cookie` values that delete every cookie of ours but the tombstone. If one chunk was seen, all possible
 * ones go: an answer that is still under way may have added some.
 *
 * @param cookies writes them
 * @param own what the request brought
 */
export function clearAll (cookies: Cookies, own: OwnCookies): string[] {
  const names = [...own.values.keys()]
  const partsOf = (kind: CookieKind): string[] => {
    const stem = cookies.name(kind, '')
    return names.filter((name) => name.startsWith(stem)).map((name) => name.slice(stem.length))
  }
  const chunked = CHUNKED.filter((kind) => partsOf(kind).length > 0)
  return [
    ...chunked.flatMap((kind) => clearSurplus(cookies, kind, null, 0)),
    ...partsOf('login').map((id) => cookies.clear('login', id)),
    ...SINGLE.filter((kind) => own.values.has(cookies.name(kind))).map((kind) => cookies.clear(kind))
  ]
}

const CHUNKED: readonly CookieKind[] = ['session', 'refresh']
const SINGLE: readonly CookieKind[] = ['idle', 'spent', 'route']
