// What was opened lately and comes often, by its sealed text: bounded by bytes, never longer than its token.
import { LRUCache } from 'lru-cache'
import { TAG_LENGTH } from './seal.ts'

/** Remembers what sealed texts opened to. */
export interface Memo<V> {
  /** What a text opened to, if it is remembered and its time is not over. */
  get (text: string, now: number): V | undefined
  /**
   * Remembers it until then (Unix seconds), if the text came before, not long ago: where each request is
   * another session's, remembering them all would only cost, and nothing would be found.
   *
   * @param make gives the value; it is handed the text as it is kept, and may hold that one
   */
  set (text: string, make: (text: string) => V, until: number): void
  /** Forgets everything: the keys have changed. */
  clear (): void
}

interface Entry<V> { readonly text: string, readonly value: V, readonly until: number }

/** How many texts that came once are kept in mind, by a number each. */
const SEEN_ONCE = 1024

/** About what an entry takes in memory: the text, what it opened to, the bookkeeping. */
const weigh = ({ text }: { readonly text: string }): number => 4 * text.length + 1024

/**
 * Creates a memo.
 *
 * @param maxBytes about how much memory it may take; 0 for none at all
 */
export function createMemo<V> (maxBytes: number): Memo<V> {
  const entries = new LRUCache<number, Entry<V>>({
    maxSize: Math.max(1, maxBytes), sizeCalculation: weigh
  })
  const seen = new Int32Array(SEEN_ONCE)

  function cameBefore (key: number): boolean {
    const place = key % SEEN_ONCE
    if (seen[place] === key) return true
    seen[place] = key
    return false
  }

  return {
    get: (text, now) => {
      const key = tagNumber(text)
      const entry = entries.get(key)
      // The number only finds the entry; the whole text must be the same.
      if (entry === undefined || entry.text !== text) return undefined
      if (now < entry.until) return entry.value
      entries.delete(key)
      return undefined
    },
    set: (text, make, until) => {
      const key = tagNumber(text)
      if (maxBytes === 0 || !cameBefore(key)) return
      // A copy: the text is a slice of a whole request header, which would be kept alive with it.
      const copy = Buffer.from(text, 'latin1').toString('latin1')
      entries.set(key, { text: copy, value: make(copy), until })
    },
    clear: () => { entries.clear() }
  }
}

/**
 * A number that tells sealed texts apart: 30 bits of the authentication tag at their end, which is as good as
 * random. Two texts may have the same one, by chance or on purpose.
 *
 * @param text a compact JWE
 */
export function tagNumber (text: string): number {
  const start = text.length - TAG_LENGTH
  let number = 0
  for (let i = start; i < start + TAG_LENGTH / 2; i++) number = Math.imul(number, 31) + text.charCodeAt(i) | 0
  return number >>> 2
}
