// Sealed bytes become numbered cookies and back: number and length are sealed too, surplus ones ignored.
import type { CookieKind, Cookies, OwnCookies } from './cookies.ts'
import type { Sealer } from './seal.ts'

/** The most chunks a sealed value may have. */
export const MAX_CHUNKS = 8

/** The most bytes of a chunk's name and value together: old engines keep a little less than 4,096. */
export const MAX_COOKIE = 3900

/** What is sealed in front: the number of chunks (1 byte) and the length of the sealed text (2 bytes). */
const FRAME = 3

/** A value that is sealed into chunks. */
export type ChunkedKind = Extract<CookieKind, 'session' | 'refresh'>

/** Seals values into chunks, and opens them. */
export interface SealedChunks {
  /** The chunks; `null` if there would be more than {@link MAX_CHUNKS}. */
  seal (bytes: Uint8Array): Promise<string[] | null>
  /** The sealed text that a request brought, not opened yet; `null` if it can be none. */
  gather (own: OwnCookies): string | null
  /** The bytes of a gathered text; `null` if it does not open, or is not the whole of what was sealed. */
  open (text: string): Buffer | null
  /** How many bytes of cookies these chunks are: names and values. */
  size (chunks: readonly string[]): number
}

/**
 * Creates the chunks of a kind.
 *
 * @param cookies names them
 * @param sealer seals them
 * @param kind whose chunks
 */
export function createSealedChunks (cookies: Cookies, sealer: Sealer, kind: ChunkedKind): SealedChunks {
  const nameLength = cookies.name(kind, 0).length
  const capacity = chunkCapacity(cookies.name(kind, 0))
  return {
    seal: async (bytes) => {
      const plain = FRAME + bytes.length
      // The last chunk is always shorter than the others, so that a reader knows it from a surplus one.
      const padding = sealer.sealedLength(kind, plain) % capacity === 0 ? 1 : 0
      const length = sealer.sealedLength(kind, plain + padding)
      const count = Math.ceil(length / capacity)
      if (count > MAX_CHUNKS) return null
      const framed = Buffer.alloc(plain + padding)
      framed[0] = count
      framed.writeUInt16BE(length, 1)
      framed.set(bytes, FRAME)
      return splitChunks(await sealer.seal(kind, framed), capacity)
    },
    gather: (own) => {
      const chunks = presentChunks(cookies, kind, own)
      return chunks.length === 0 ? null : chunks.length === 1 ? chunks[0] ?? null : chunks.join('')
    },
    open: (text) => {
      const framed = sealer.open(kind, text)
      if (framed === null || framed.length < FRAME) return null
      const count = Math.ceil(text.length / capacity)
      const isWhole = framed[0] === count && framed.readUInt16BE(1) === text.length
      return isWhole ? framed.subarray(FRAME) : null
    },
    size: (chunks) => chunks.reduce((sum, chunk) => sum + nameLength + chunk.length, 0)
  }
}

/**
 * How many characters of a value one chunk holds.
 *
 * @param name the name of a chunk; all have the same length
 */
export function chunkCapacity (name: string): number {
  return MAX_COOKIE - name.length
}

/**
 * Cuts sealed text into chunks: all but the last are full.
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
 * The chunks of one value that a request brought: from number 0 on, full ones, up to the first that is not.
 * What follows is left over from an older, longer value.
 *
 * @param cookies gives the names
 * @param kind whose chunks
 * @param own what the request brought
 * @returns the values in order; none if one is missing, too long or there twice, or if there is no end
 */
export function presentChunks (cookies: Cookies, kind: ChunkedKind, own: OwnCookies): string[] {
  const capacity = chunkCapacity(cookies.name(kind, 0))
  const chunks: string[] = []
  for (let index = 0; index < MAX_CHUNKS; index++) {
    const name = cookies.name(kind, index)
    const value = own.duplicates.has(name) ? undefined : own.values.get(name)
    if (value === undefined || value.length > capacity) return []
    chunks.push(value)
    if (value.length < capacity) return chunks
  }
  return []
}

/**
 * `Set-Cookie` values that delete chunks which a set of `count` leaves over.
 *
 * @param cookies writes them
 * @param kind whose chunks
 * @param own what the request brought; `null` if that is not known, and every possible one goes
 * @param count how many chunks stay
 */
export function clearSurplus (
  cookies: Cookies, kind: ChunkedKind, own: OwnCookies | null, count: number
): string[] {
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

const CHUNKED: readonly ChunkedKind[] = ['session', 'refresh']
const SINGLE: readonly CookieKind[] = ['idle', 'spent', 'route']
