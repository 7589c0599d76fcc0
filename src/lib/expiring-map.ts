// A map whose entries end by themselves and whose size has a bound; no timer, no cost while it is empty.
import { unixSeconds, type Clock } from './clock.ts'

/** Values under keys, each until a moment of its own. */
export interface ExpiringMap<V> {
  /** Keeps a value until a Unix second. */
  set (key: string, value: V, until: number): void
  /** The value, or `undefined` once its time is over. */
  get (key: string): V | undefined
  /** How many are kept at most, those included that are over and not yet swept. */
  readonly size: number
}

/** What an {@link ExpiringMap} needs. */
export interface ExpiringMapOptions {
  readonly clock: Clock
  /** How many of the newest entries are kept for certain; there are never more than twice as many. */
  readonly keep: number
  /** Is told how many entries went before their time. */
  readonly onEvicted?: (count: number) => void
}

interface Entry<V> { readonly value: V, readonly until: number }

/**
 * Creates a map. It has two halves: when the newer one is full it becomes the older one, and the older one
 * goes as a whole. (Taking the oldest key out of a `Map`, one by one, costs ever more.)
 *
 * @param options clock and bound
 */
export function createExpiringMap<V> (options: ExpiringMapOptions): ExpiringMap<V> {
  const { clock, keep, onEvicted } = options
  let newer = new Map<string, Entry<V>>()
  let older = new Map<string, Entry<V>>()

  function turn (): void {
    const now = unixSeconds(clock)
    let evicted = 0
    for (const [key, { until }] of older) if (until > now && !newer.has(key)) evicted += 1
    if (evicted > 0) onEvicted?.(evicted)
    older = newer
    newer = new Map()
  }

  return {
    set: (key, value, until) => {
      if (newer.size >= keep && !newer.has(key)) turn()
      newer.set(key, { value, until })
    },
    get: (key) => {
      const entry = newer.size === 0 ? undefined : newer.get(key) ?? older.get(key)
      return entry !== undefined && unixSeconds(clock) < entry.until ? entry.value : undefined
    },
    get size () { return newer.size + older.size }
  }
}
