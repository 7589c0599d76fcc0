// Spares a failing service: after failures in a row only a trickle of calls may try it, until one succeeds.

/** When it trips and how it trickles; all times in milliseconds. */
export interface BreakerOptions {
  /** Failures in a row after which it trips. */
  readonly threshold: number
  /** The most calls in flight while tripped. */
  readonly inFlight: number
  /** The time between two calls while tripped. */
  readonly interval: number
  /** A clock that never goes back. Default: `performance.now`. */
  readonly now?: () => number
}

/** Leave to call, to be given back with what became of the call. */
export interface Pass {
  /** Whether the service was failing when leave was given: such a call should be short. */
  readonly isProbe: boolean
  done (succeeded: boolean): void
}

/** Decides who may call. */
export interface Breaker {
  /** Leave to call, or `null`: not now. */
  enter (): Pass | null
  readonly isTripped: boolean
}

/**
 * Creates a breaker. It never opens by time alone: only a call that succeeds ends the trickle.
 *
 * @param options when it trips
 */
export function createBreaker (options: BreakerOptions): Breaker {
  const { threshold, inFlight, interval, now = () => performance.now() } = options
  let failures = 0
  let probes = 0
  let lastAt = -Infinity

  function pass (isProbe: boolean): Pass {
    if (isProbe) probes += 1
    lastAt = now()
    let isOpen = true
    return {
      isProbe,
      done: (succeeded) => {
        if (!isOpen) return
        isOpen = false
        if (isProbe) probes -= 1
        failures = succeeded ? 0 : failures + 1
      }
    }
  }

  return {
    get isTripped () { return failures >= threshold },
    enter: () => {
      if (failures < threshold) return pass(false)
      return probes < inFlight && now() - lastAt >= interval ? pass(true) : null
    }
  }
}
