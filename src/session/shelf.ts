// What sealed texts opened to, as bytes in a few large buffers: many more than the heap could hold.
import { hash } from 'node:crypto'
import { tagNumber } from './memo.ts'

/** Keeps bytes by the sealed text that they came from. */
export interface Shelf {
  /**
   * The bytes that were kept for a text, if its time is not over: a view that holds until the next `set`.
   *
   * @param now Unix seconds
   */
  get (text: string, now: number): Buffer | undefined
  /**
   * Keeps bytes until then (Unix seconds). Once all room is taken by what still lives, only one in
   * {@link RATION} gets in and others out: where more texts come in turn than there is room for, each would
   * push out another before that comes again.
   *
   * @param make gives the bytes, which are copied, or `null`; not called for who stays outside
   */
  set (text: string, make: () => Uint8Array | null, until: number, now: number): void
  /** Forgets everything: the keys have changed. */
  clear (): void
}

/** One in so many is kept at the cost of others that live. */
export const RATION = 32

/** The most records of a page, so that the index has a bound too. */
const MAX_RECORDS = 2048

const PAGE_BYTES = 1024 * 1024

/** In front of a record's bytes: the SHA-256 of its text, the end of its time, their length. */
const DIGEST = 32
const TIME = 6
const HEAD = DIGEST + TIME + 4
const MAX_TIME = 2 ** (8 * TIME) - 1

/** A run of records. */
interface Page {
  readonly bytes: Buffer
  /** The keys of the records' texts, for the index to forget them by. */
  readonly keys: number[]
  end: number
  /** When the last of its records is dead. */
  until: number
  /** Until when those would have lived that gave way for it. */
  readonly dearUntil: number
}

/**
 * Creates a shelf. Its memory is taken page by page, as it fills.
 *
 * @param maxBytes the most bytes of all pages; the index takes some 5 % more
 * @param pageBytes bytes of a page, which is emptied as a whole
 */
export function createShelf (maxBytes: number, pageBytes = PAGE_BYTES): Shelf {
  const maxPages = Math.floor(maxBytes / pageBytes)
  const index = new Map<number, number>()
  const pages: Page[] = []
  let current = -1
  let asked = 0

  /** The page that takes so many bytes. */
  function pageFor (size: number): Page {
    const page = pages[current]
    if (page !== undefined && page.end + size <= pageBytes && page.keys.length < MAX_RECORDS) return page
    current = (current + 1) % maxPages
    const oldest = pages[current]
    if (oldest !== undefined) forget(oldest)
    const bytes = oldest?.bytes ?? Buffer.allocUnsafeSlow(pageBytes)
    const fresh = { bytes, keys: [], end: 0, until: 0, dearUntil: oldest?.until ?? 0 }
    pages[current] = fresh
    return fresh
  }

  /** Takes what stands in the current page out of the index, where no later page has it. */
  function forget ({ keys }: Page): void {
    for (const key of keys) {
      if (Math.floor((index.get(key) ?? -1) / pageBytes) === current) index.delete(key)
    }
  }

  return {
    get: (text, now) => {
      const place = index.get(tagNumber(text))
      const page = place === undefined ? undefined : pages[Math.floor(place / pageBytes)]
      if (place === undefined || page === undefined) return undefined
      const start = place % pageBytes
      // The key only finds the record; the whole text must be the same.
      if (!hasDigest(page.bytes, start, digestOf(text))) return undefined
      if (now >= page.bytes.readUIntBE(start + DIGEST, TIME)) return undefined
      const length = page.bytes.readUInt32BE(start + DIGEST + TIME)
      return page.bytes.subarray(start + HEAD, start + HEAD + length)
    },
    set: (text, make, until, now) => {
      const isDear = now < (pages[current]?.dearUntil ?? 0)
      if (maxPages === 0 || (isDear && asked++ % RATION !== 0)) return
      const bytes = make()
      if (bytes === null || HEAD + bytes.length > pageBytes) return
      const page = pageFor(HEAD + bytes.length)
      const start = page.end
      page.bytes.write(digestOf(text), start, 'latin1')
      page.bytes.writeUIntBE(Math.min(until, MAX_TIME), start + DIGEST, TIME)
      page.bytes.writeUInt32BE(bytes.length, start + DIGEST + TIME)
      page.bytes.set(bytes, start + HEAD)
      page.end += HEAD + bytes.length
      page.until = Math.max(page.until, until)
      const key = tagNumber(text)
      page.keys.push(key)
      index.set(key, current * pageBytes + start)
    },
    clear: () => {
      index.clear()
      pages.length = 0
      current = -1
    }
  }
}

/** What tells texts apart, a character a byte. */
function digestOf (text: string): string {
  return hash('sha256', text, 'binary')
}

/** In a loop: a call into native code for a string of the bytes would cost more. */
function hasDigest (bytes: Buffer, start: number, digest: string): boolean {
  for (let i = 0; i < DIGEST; i++) if (bytes[start + i] !== digest.charCodeAt(i)) return false
  return true
}
