// A map whose entries end by themselves and whose size has a bound; no timer, no cost while it is empty.
import { unixSeconds, type Clock } from './clock.ts'

/** Values under keys, each until a moment of its own. */
export interface ExpiringMap<V> {
  /** Keeps a value until a Unix second. */
  set (key: string, value: V, until: number): void
  /** The value, or `undefined` once its time is over. */
  get (key: string): V | undefined
  /** How many are kept, those included that are over and not yet swept. */
  readonly size: number
}

/** What an {@link ExpiringMap} needs. */
export interface ExpiringMapOptions {
  readonly clock: Clock
  /** The most entries; the oldest goes when another comes. */
  readonly max: number
  /** Is told when an entry goes before its time. */
  readonly onEvicted?: () => void
}

/** How many old entries each new one may sweep away: more than one, so that what is over gets less. */
const SWEEP = 2

/**
 * Creates a map.
 *
 * @param options clock and bound
 */
export function createExpiringMap<V> (options: ExpiringMapOptions): ExpiringMap<V> {
  const { clock, max, onEvicted } = options
  const entries = new Map<string, { readonly value: V, readonly until: number }>()

  function makeRoom (now: number): void {
    let swept = 0
    for (const [key, { until }] of entries) {
      if (until > now || swept === SWEEP) break
      entries.delete(key)
      swept += 1
    }
    const oldest = entries.size < max ? undefined : entries.keys().next().value
    if (oldest === undefined) return
    entries.delete(oldest)
    onEvicted?.()
  }

  return {
    set: (key, value, until) => {
      entries.delete(key)
      makeRoom(unixSeconds(clock))
      entries.set(key, { value, until })
    },
    get: (key) => {
      if (entries.size === 0) return undefined
      const entry = entries.get(key)
      return entry !== undefined && unixSeconds(clock) < entry.until ? entry.value : undefined
    },
    get size () { return entries.size }
  }
}
