// Shared asynchronous work: one promise in flight for a key, its result remembered for a while, both bounded.
import { LRUCache } from 'lru-cache'

/** How long and how much is remembered; see {@link createSingleFlight}. */
export interface SingleFlightOptions<T> {
  /** Milliseconds for which a result is handed to late callers; 0: not at all. Default 0. */
  readonly rememberFor?: number | ((result: T) => number)
  /** The most results that are remembered; the least recently used go first. Default 10,000. */
  readonly max?: number
  /**
   * The weight of a result (at least 1), and the most that all remembered ones weigh. Default: not weighed.
   */
  readonly weight?: { readonly of: (result: T) => number, readonly max: number }
}

/** Runs work under a key; callers that come while it runs, or soon after it ended, share its result. */
export interface SingleFlight<T extends object> {
  run (key: string, work: () => Promise<T>): Promise<T>
  /** The remembered result of a key, if there is one. */
  peek (key: string): T | undefined
  /** Whether work for this key is in flight now. */
  isFlying (key: string): boolean
}

/**
 * Creates a single flight. Nobody who waits can cancel it. What it throws is shared with those who wait, and
 * never remembered.
 *
 * @param options how long results are kept and how many
 */
export function createSingleFlight<T extends object> (options: SingleFlightOptions<T> = {}): SingleFlight<T> {
  const { rememberFor = 0, max = 10_000, weight } = options
  const timeOf = typeof rememberFor === 'number' ? () => rememberFor : rememberFor
  const inFlight = new Map<string, Promise<T>>()
  const results = new LRUCache<string, T>({
    max,
    ttl: 1,
    ...(weight === undefined ? {} : { maxSize: weight.max, sizeCalculation: weight.of })
  })

  function start (key: string, work: () => Promise<T>): Promise<T> {
    const flight = work().then((result) => {
      const ttl = timeOf(result)
      if (ttl > 0) results.set(key, result, { ttl })
      return result
    }).finally(() => { inFlight.delete(key) })
    inFlight.set(key, flight)
    return flight
  }

  return {
    run: async (key, work) => results.get(key) ?? await (inFlight.get(key) ?? start(key, work)),
    peek: (key) => results.get(key),
    isFlying: (key) => inFlight.has(key)
  }
}
