// Connections to the upstreams: bounded for each origin, with a bounded queue, certificates verified.
import { Pool, type Dispatcher } from 'undici'

/** How many calls an origin gets at once; the rest waits, and beyond that is refused. */
export interface PoolLimits {
  /** Connections for calls. */
  readonly connections: number
  /** Calls that may wait for a connection. */
  readonly queue: number
  /** Connections for event streams, which stay open and must not take the places of calls. */
  readonly streams: number
}

/** What fits a machine of some cores and an API of some replicas. */
export const POOL_LIMITS: PoolLimits = { connections: 256, queue: 1024, streams: 8192 }

/** The connections to one origin. */
export interface UpstreamPool {
  /** Takes a place: `false` if there is none. Every place taken is given back by {@link release}. */
  take (isStream: boolean): boolean
  release (isStream: boolean): void
  dispatch (isStream: boolean, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void
}

/** The pools of all upstreams. */
export interface Pools {
  of (origin: string): UpstreamPool
  /** Lets calls in flight end for a moment, then cuts what is left. */
  close (): Promise<void>
}

/** What the pools need. */
export interface PoolOptions {
  /** Further CA certificates, PEM. */
  readonly ca?: string[] | undefined
  readonly limits?: PoolLimits
}

const CONNECT_TIMEOUT = 5_000
const CLOSE_GRACE = 1_000

/**
 * Creates the pools; each is made at its first use.
 *
 * @param options certificates and limits
 */
export function createPools (options: PoolOptions): Pools {
  const limits = options.limits ?? POOL_LIMITS
  const pools = new Map<string, OriginPool>()
  // Said in so many words, so that no environment variable switches it off.
  const ca = options.ca === undefined ? {} : { ca: options.ca }
  const connect = { rejectUnauthorized: true, timeout: CONNECT_TIMEOUT, ...ca }
  return {
    of: (origin) => {
      let pool = pools.get(origin)
      if (pool === undefined) pools.set(origin, pool = new OriginPool(origin, limits, connect))
      return pool
    },
    close: async () => { await Promise.all([...pools.values()].map(async (pool) => { await pool.close() })) }
  }
}

class OriginPool implements UpstreamPool {
  readonly #calls: Pool
  readonly #streams: Pool
  readonly #mostCalls: number
  readonly #mostStreams: number
  #callCount = 0
  #streamCount = 0

  constructor (
    origin: string, limits: PoolLimits, connect: { readonly timeout: number, readonly ca?: string[] }
  ) {
    const common: Pool.Options = { pipelining: 1, bodyTimeout: 0, connect }
    this.#calls = new Pool(origin, { ...common, connections: limits.connections })
    this.#streams = new Pool(origin, { ...common, connections: limits.streams })
    this.#mostCalls = limits.connections + limits.queue
    this.#mostStreams = limits.streams
  }

  take (isStream: boolean): boolean {
    if (isStream) {
      if (this.#streamCount >= this.#mostStreams) return false
      this.#streamCount += 1
    } else {
      if (this.#callCount >= this.#mostCalls) return false
      this.#callCount += 1
    }
    return true
  }

  release (isStream: boolean): void {
    if (isStream) this.#streamCount -= 1
    else this.#callCount -= 1
  }

  dispatch (
    isStream: boolean, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler
  ): void {
    const pool = isStream ? this.#streams : this.#calls
    pool.dispatch(options, handler)
  }

  async close (): Promise<void> {
    const timer = setTimeout(() => {
      this.#calls.destroy().catch(() => {})
      this.#streams.destroy().catch(() => {})
    }, CLOSE_GRACE)
    await Promise.all([this.#calls.close(), this.#streams.close()])
    clearTimeout(timer)
  }
}
