// Shared asynchronous work: one promise in flight for a key, its result remembered for a while, both bounded.
import { LRUCache } from 'lru-cache'

/** How long and how many; see {@link createSingleFlight}. */
export interface SingleFlightOptions {
  /** Milliseconds for which a success is handed to late callers. Default 0: not at all. */
  readonly rememberFor?: number
  /** The most results that are remembered; the least recently used go first. Default 10,000. */
  readonly max?: number
}

/** Runs work under a key; callers that come while it runs, or soon after it succeeded, share its result. */
export interface SingleFlight<T extends object> {
  run (key: string, work: () => Promise<T>): Promise<T>
  /** The remembered result of a key, if there is one. */
  peek (key: string): T | undefined
  /** Whether work for this key is in flight now. */
  isFlying (key: string): boolean
}

/**
 * Creates a single flight. A failure is shared with those who wait and never remembered.
 *
 * @param options how long results are kept and how many
 */
export function createSingleFlight<T extends object> (options: SingleFlightOptions = {}): SingleFlight<T> {
  const rememberFor = options.rememberFor ?? 0
  const inFlight = new Map<string, Promise<T>>()
  const results = rememberFor > 0
    ? new LRUCache<string, T>({ max: options.max ?? 10_000, ttl: rememberFor })
    : null

  function start (key: string, work: () => Promise<T>): Promise<T> {
    const flight = work().then((result) => {
      results?.set(key, result)
      return result
    }).finally(() => { inFlight.delete(key) })
    inFlight.set(key, flight)
    return flight
  }

  return {
    run: async (key, work) => results?.get(key) ?? await (inFlight.get(key) ?? start(key, work)),
    peek: (key) => results?.get(key),
    isFlying: (key) => inFlight.has(key)
  }
}
