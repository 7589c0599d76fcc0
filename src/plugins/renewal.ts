// What a request's session is worth now: served as it is, refreshed first, or refused; decided once for all routes.
import { createHash } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { createSingleFlight } from '../lib/single-flight.ts'
import { refreshSession, type RefreshOptions, type RefreshOutcome } from '../oidc/refresh.ts'
import { hasLiveAccessToken, needsRefresh, type Session } from '../session/session.ts'
import type { SessionState, SessionStore } from '../session/store.ts'

/** A session that may be used, and the cookies that the answer must carry. */
export interface ActiveSession { readonly session: Session, readonly setCookies: readonly string[] }

/** Makes sessions usable. */
export interface Renewal {
  /**
   * The session of a request, refreshed if that is due.
   *
   * @throws {BullaError} `login_required`, `session_expired`, `session_stale`, `idp_unavailable`, `idp_misconfigured`
   */
  activate (state: SessionState): ActiveSession | Promise<ActiveSession>
  /** The same, refreshed even if it is not due. */
  renew (state: SessionState): Promise<ActiveSession>
}

/** What renewal needs. */
export interface RenewalOptions {
  readonly store: SessionStore
  readonly oidc: RefreshOptions
  readonly clock: Clock
  /** Seconds before the expiry. */
  readonly ahead: number
  readonly log: FastifyBaseLogger
  /** Whether a session has been ended before its time. */
  readonly isRevoked: (session: Session) => boolean
  /** Revokes the tokens of a session that nobody will get. */
  readonly discard: (session: Session) => void
}

/** Milliseconds for which late requests with the old cookie get the very same new session. */
const REMEMBER = 60_000

/** Seconds after which a client may try again. */
const RETRY_AFTER = 5

/**
 * Creates the renewal.
 *
 * @param options what it needs
 */
export function createRenewal (options: RenewalOptions): Renewal {
  const { store, clock, ahead, log } = options
  const flights = createSingleFlight<ActiveSession>({ rememberFor: REMEMBER })

  function activate (state: SessionState): ActiveSession | Promise<ActiveSession> {
    const { session } = state
    if (session === null) throw new BullaError(state.error ?? 'login_required')
    const now = unixSeconds(clock)
    if (!needsRefresh(session, now, ahead) || state.isSpent) {
      if (hasLiveAccessToken(session, now)) return { session, setCookies: [] }
      throw new BullaError('session_expired')
    }
    return renew(state)
  }

  async function renew (state: SessionState): Promise<ActiveSession> {
    const { session } = state
    if (session === null) throw new BullaError(state.error ?? 'login_required')
    if (session.refreshToken === undefined || state.isSpent) throw new BullaError('session_expired')
    return await flights.run(flightKey(session), async () => await spend(session, state))
  }

  async function spend (session: Session, state: SessionState): Promise<ActiveSession> {
    const outcome = await refreshSession(session, options.oidc)
    if (outcome.kind === 'renewed') {
      // I70: the logout came while the provider was asked; what it answered must not outlive it.
      if (options.isRevoked(session)) {
        options.discard(outcome.session)
        throw new BullaError('session_revoked')
      }
      return { session: outcome.session, setCookies: await store.write(outcome.session, state.own) }
    }
    return await withoutRenewal(session, outcome)
  }

  /** While the access token is alive a failed refresh is harmless. */
  async function withoutRenewal (
    session: Session, outcome: Exclude<RefreshOutcome, { kind: 'renewed' }>
  ): Promise<ActiveSession> {
    const alive = hasLiveAccessToken(session, unixSeconds(clock))
    switch (outcome.kind) {
      case 'transient':
        log.warn({ cause: describeError(outcome.cause) }, 'refresh failed for now')
        if (alive) return { session, setCookies: [] }
        throw new BullaError('idp_unavailable', { retryAfter: RETRY_AFTER })
      case 'misconfigured':
        log.error({ cause: describeError(outcome.cause) }, 'the authorization server refuses to refresh for this client')
        if (alive) return { session, setCookies: [] }
        throw new BullaError('idp_misconfigured')
      case 'mismatch':
        log.error({ cause: describeError(outcome.cause) }, 'the refreshed tokens speak of another login')
        throw new BullaError('session_expired', { setCookies: [await store.markSpent(session)] })
      case 'invalid_grant': {
        const setCookies = [await store.markSpent(session)]
        if (alive) return { session, setCookies }
        throw new BullaError('session_stale', { setCookies })
      }
    }
  }

  return { activate, renew }
}

function flightKey (session: Session): string {
  return createHash('sha256').update(`${session.generation}.${session.refreshToken}`).digest('base64url')
}
