// What a request's session is worth now: served as it is, refreshed first, or refused; decided for all
// routes.
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import type { Activity } from '../session/companions.ts'
import type { Cookies } from '../session/cookies.ts'
import { deliver } from '../session/delivery.ts'
import { openedOf } from '../session/opened-session.ts'
import { hasLiveAccessToken, needsRefresh, type OpenedSession, type Session } from '../session/session.ts'
import type { SessionState, SessionStore } from '../session/store.ts'
import type { ApiToken } from '../oidc/token-for-api.ts'
import type { TokenTarget } from '../oidc/token-target.ts'
import { FRESH } from './sparing.ts'
import { faultOf, type Failure, type Spender } from './spender.ts'

/** A session that may be used, and the cookies that the answer must carry. */
export interface ActiveSession {
  readonly session: OpenedSession
  readonly accessToken: string
  /** Read it when the answer starts: it brings the newest session that is known by then. */
  readonly setCookies: readonly string[]
}

/** A token for another API, and the session after it was bought. */
export interface Grant { readonly token: ApiToken, readonly active: ActiveSession }

/** Makes sessions usable. */
export interface Renewal {
  /**
   * The session of a request, refreshed if that is due.
   *
   * @throws {BullaError} `login_required`, `session_expired`, `session_stale`, `idp_unavailable`,
   * `idp_misconfigured`
   */
  activate (state: SessionState): ActiveSession | Promise<ActiveSession>
  /** The same, refreshed even if it is not due; harmless while the access token is alive. */
  renew (state: SessionState): Promise<ActiveSession>
  /**
   * Refreshes because someone asked for it, and says so if it could not be done.
   *
   * @throws {BullaError} `login_required`, `session_expired`, `idp_unavailable`, `idp_misconfigured`
   */
  refresh (state: SessionState): Promise<ActiveSession>
  /**
   * A token for another API, bought with the session's refresh token.
   *
   * @param active from {@link activate}, of the same state
   * @throws {BullaError} `session_expired`, `session_stale`, `session_revoked`, `idp_unavailable`;
   * `idp_misconfigured` for what the provider refuses for this API, and if there is no refresh token at all
   */
  grant (state: SessionState, active: ActiveSession, target: TokenTarget): Promise<Grant>
  /** An active session, or what came of it where its refresh token was replaced here, with the cookies. */
  newest (state: SessionState, active: ActiveSession): ActiveSession | Promise<ActiveSession>
  /** Whether the session's refresh token is there, and not known to be dead. */
  canBuy (state: SessionState, active: ActiveSession): boolean
  /** The newest generation of a session that this process remembers; most often the session itself. */
  latest (session: Session): Session
}

/** What renewal needs. */
export interface RenewalOptions {
  readonly cookies: Cookies
  readonly store: SessionStore
  readonly activity: Activity
  readonly spender: Spender
  readonly clock: Clock
  /** `browser`: only {@link Renewal.refresh} refreshes. */
  readonly mode: 'server' | 'browser'
  /** Seconds before the expiry. */
  readonly ahead: number
}

const NONE: readonly string[] = []

/**
 * Creates the renewal.
 *
 * @param options what it needs
 */
export function createRenewal (options: RenewalOptions): Renewal {
  const { cookies, store, activity, spender, clock, mode, ahead } = options

  function activate (state: SessionState): ActiveSession | Promise<ActiveSession> {
    const session = sessionOf(state)
    if (mode === 'server' && needsRefresh(session, unixSeconds(clock), ahead)) return renewed(state, false)
    return asItIs(session, state)
  }

  /**
   * Served if its access token lives. In browser mode the refresh token stayed at home: the browser renews.
   */
  function asItIs (session: OpenedSession, state: SessionState): ActiveSession | Promise<ActiveSession> {
    if (hasLiveAccessToken(session, unixSeconds(clock))) {
      if (activity.isDue(state)) return served(session.whole(), state, NONE)
      return { session, accessToken: session.accessToken, setCookies: NONE }
    }
    throw new BullaError(mode === 'browser' && !isSpent(session, state) ? 'session_stale' : 'session_expired')
  }

  async function renew (state: SessionState): Promise<ActiveSession> {
    const session = sessionOf(state)
    if (mode === 'browser' || !session.hasRefreshToken) return await asItIs(session, state)
    return await renewed(state, true)
  }

  /** Late requests first get what this process knows already; only then is a refresh token spent. */
  async function renewed (state: SessionState, isForced: boolean): Promise<ActiveSession> {
    const session = sessionOf(state).whole()
    const latest = spender.latest(session)
    const isNewer = isForced
      ? isRenewed(latest, session)
      : latest !== session && !needsRefresh(openedOf(latest), unixSeconds(clock), ahead)
    if (isNewer) return await served(latest, state, NONE)
    if (isSpent(latest, state)) return await asItIs(opened(latest, state), state)
    const spent = await spender.spend(latest)
    if (spent.kind === 'renewed') return await served(spent.session, state, NONE)
    return await withoutRenewal(latest, state, spent)
  }

  /** While the access token is alive a failed refresh is harmless. */
  async function withoutRenewal (
    session: Session, state: SessionState, failure: Failure
  ): Promise<ActiveSession> {
    const error = await errorOf(session, failure)
    const isOver = failure.kind === 'mismatch' || failure.kind === 'revoked'
    if (isOver || !hasLiveAccessToken(session, unixSeconds(clock))) throw error
    return await served(session, state, error.setCookies)
  }

  /** What a failure is to a call; a refresh token that is lost is marked. */
  async function errorOf (session: Session, failure: Failure): Promise<BullaError> {
    if (failure.kind === 'mismatch') return await ended(failure.session)
    const isLost = failure.kind === 'invalid_grant' || failure.kind === 'unsealable'
    const mark = isLost ? [await store.markSpent(session)] : NONE
    return failure.kind === 'invalid_grant'
      ? new BullaError('session_stale', { setCookies: mark })
      : faultOf(failure, mark)
  }

  async function refresh (state: SessionState): Promise<ActiveSession> {
    const session = sessionOf(state).whole()
    const latest = spender.latest(session)
    if (isRenewed(latest, session)) return await served(latest, state, NONE)
    if (isSpent(latest, state)) throw new BullaError('session_expired')
    if (latest.refreshToken === undefined) {
      throw new BullaError('session_expired', { setCookies: [await store.markSpent(latest)] })
    }
    const spent = await spender.spend(latest)
    if (spent.kind === 'renewed') return await served(spent.session, state, NONE)
    if (spent.kind === 'mismatch') throw await ended(spent.session)
    throw faultOf(spent, spent.kind === 'invalid_grant' ? [await store.markSpent(latest)] : NONE)
  }

  async function grant (state: SessionState, active: ActiveSession, target: TokenTarget): Promise<Grant> {
    const session = spender.latest(active.session.whole())
    if (session.refreshToken === undefined) {
      // A login would change nothing: no 401.
      const cause = new Error('the session has no refresh token to buy a token for an API with (offline_access?)')
      throw new BullaError('idp_misconfigured', { cause })
    }
    if (isSpent(session, state)) throw new BullaError('session_expired')
    const spent = await spender.spendFor(session, target)
    switch (spent.kind) {
      case 'granted': {
        const { session: replaced, token } = spent
        const after = replaced === null ? newest(state, active) : served(replaced, state, NONE)
        return { token, active: await after }
      }
      case 'refused':
        if (spent.isGrant) await prove(spender.latest(session))
        throw new BullaError('idp_misconfigured', { cause: spent.cause })
      default: throw await errorOf(session, spent)
    }
  }

  /** Some providers say `invalid_grant` of one API alone: whether a refresh token is dead a refresh shows. */
  async function prove (session: Session): Promise<void> {
    // What came of a refresh just now is good.
    if (session.generation > 0 && unixSeconds(clock) - session.accessTokenIssuedAt < FRESH) return
    const spent = await spender.spend(session)
    if (spent.kind !== 'renewed' && spent.kind !== 'misconfigured') throw await errorOf(session, spent)
  }

  function newest (state: SessionState, active: ActiveSession): ActiveSession | Promise<ActiveSession> {
    const session = active.session.whole()
    const latest = spender.latest(session)
    return latest === session ? active : served(latest, state, NONE)
  }

  function canBuy (state: SessionState, active: ActiveSession): boolean {
    const latest = spender.latest(active.session.whole())
    return latest.refreshToken !== undefined && !isSpent(latest, state)
  }

  /**
   * A tombstone names the session, whatever generation arrives later; no cookie of a newer login is touched.
   */
  async function ended (session: Session): Promise<BullaError> {
    return new BullaError('session_expired', { setCookies: await store.end(session, cookies.read(undefined)) })
  }

  /**
   * The cookies are put together when the answer starts, so that a slow one never brings back an older
   * session.
   */
  async function served (
    session: Session, state: SessionState, marks: readonly string[]
  ): Promise<ActiveSession> {
    const extras = activity.isDue(state) ? [...marks, await activity.mark(session)] : marks
    return {
      session: opened(session, state),
      accessToken: session.accessToken,
      get setCookies () {
        const latest = spender.latest(session)
        const sealed = latest === state.session?.whole() ? null : spender.sealed(latest)
        if (sealed === null) return extras
        return [...deliver(cookies, sealed, state.own, marks.length > 0), ...extras]
      }
    }
  }

  function isSpent (session: Pick<Session, 'generation'>, state: SessionState): boolean {
    return state.spentGeneration !== undefined && state.spentGeneration >= session.generation
  }

  return { activate, renew, refresh, grant, newest, canBuy, latest: (session) => spender.latest(session) }
}

/** Whether the access token is another one; a provider may give the same one anew. */
function isRenewed (latest: Session, session: Session): boolean {
  const isAnother = latest.accessToken !== session.accessToken
  return isAnother || latest.accessTokenIssuedAt !== session.accessTokenIssuedAt
}

/** A request's own session stays the same object. */
function opened (session: Session, state: SessionState): OpenedSession {
  const own = state.session
  return own?.whole() === session ? own : openedOf(session)
}

function sessionOf (state: SessionState): OpenedSession {
  if (state.session === null) throw new BullaError(state.error ?? 'login_required')
  return state.session
}
