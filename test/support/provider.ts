// Starts a real provider for one test: it logs people in by itself, counts its calls and breaks on request.
import {
  startAuthorizationServer, type AuthorizationServer, type AuthorizationServerOptions, type Endpoint
} from '../../demo/authorization-server.ts'
import type { Teardown } from './build.ts'
import { Faults, type Call, type Fault } from './faults.ts'

export { demoUsers } from '../../demo/authorization-server.ts'
export type { Teardown } from './build.ts'
export type { Call, Fault } from './faults.ts'

/** A provider under a test's control. */
export interface TestProvider extends AuthorizationServer {
  /** Calls so far, by endpoint. */
  readonly calls: Readonly<Record<Endpoint, number>>
  /** The calls themselves, oldest first. */
  readonly log: readonly Call[]
  /** Breaks an endpoint: for `times` calls, or until `mend`. */
  fault(endpoint: Endpoint, fault: Fault, options?: { times?: number }): void
  /** Ends all faults and delays, of one endpoint or of all. */
  mend(endpoint?: Endpoint): void
  /** Holds calls to an endpoint back: for milliseconds, or until a promise settles. */
  delay(endpoint: Endpoint, until: number | Promise<unknown>): void
  /** The next call to an endpoint, once it has come in and before it is answered. */
  nextCall(endpoint: Endpoint): Promise<Call>
}

/**
 * Starts an authorization server that logs `nanni` (or whom `login_hint` names) in without a page.
 * @param t ends it
 * @param options e.g. `redirectUris`, `rotation`, `accessTokenTtl`; give `interactive: true` to see pages
 */
export async function startProvider (
  t: Teardown, options: AuthorizationServerOptions = {}
): Promise<TestProvider> {
  const faults = new Faults()
  const { intercept } = faults
  const server = await startAuthorizationServer({ interactive: false, ...options, intercept })
  t.teardown(() => server.close())
  return {
    ...server,
    calls: faults.counts,
    log: faults.log,
    fault: (endpoint, fault, { times } = {}) => faults.add(endpoint, fault, times),
    mend: (endpoint) => faults.mend(endpoint),
    delay: (endpoint, until) => faults.delay(endpoint, until),
    nextCall: (endpoint) => faults.next(endpoint)
  }
}
