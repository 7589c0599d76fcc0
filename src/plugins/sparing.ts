// How the authorization server is spared: a trickle of short calls while it fails, and nothing that was just
// refused or given is asked for again.
import { createBreaker, type Breaker } from '../lib/breaker.ts'
import type { TokenFault } from '../oidc/token-answer.ts'

/** After three failures in a row 4 calls a second, 2 in flight. */
export const TRICKLE = { threshold: 3, inFlight: 2, interval: 250 }

/**
 * A breaker for each purpose, so that what fails for one does not slow the others.
 *
 * @returns the breaker of a purpose; the purposes are the deployment's, and few
 */
export function createBreakers (): (purpose: string) => Breaker {
  const breakers = new Map<string, Breaker>()
  return (purpose) => {
    let breaker = breakers.get(purpose)
    if (breaker === undefined) breakers.set(purpose, breaker = createBreaker(TRICKLE))
    return breaker
  }
}

/** Milliseconds that a call of the trickle may take. */
export const PROBE_LIMIT = 4_000

/** Seconds for which a token is new: what refuses it would refuse another one too. */
export const FRESH = 30

/** Seconds after which a client may try again. */
export const RETRY_AFTER = 2

/** What a call that has no place in the trickle comes to. */
export const NOT_NOW: TokenFault = {
  kind: 'transient', cause: new Error('the authorization server fails; waiting for its return'), isEveryones: true
}

/** Milliseconds for which a refusal of one session, such as for its scope, is not asked for again. */
export const REMEMBER_REFUSED = 1_000
