// Spends refresh tokens: each once in this process, its result kept for latecomers, a failing provider
// spared.
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { unixSeconds } from '../lib/clock.ts'
import type { Breaker, Pass } from '../lib/breaker.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { createSingleFlight } from '../lib/single-flight.ts'
import { CALL_TIMEOUT } from '../oidc/http.ts'
import { refreshSession, type RefreshOptions, type RefreshOutcome } from '../oidc/refresh.ts'
import { targetName, type TokenTarget } from '../oidc/token-target.ts'
import type { Cookies } from '../session/cookies.ts'
import { hasLiveAccessToken, type Session } from '../session/session.ts'
import type { SessionStore } from '../session/store.ts'
import { createBreakers, NOT_NOW, PROBE_LIMIT, REMEMBER_REFUSED, RETRY_AFTER, TRICKLE } from './sparing.ts'

/** What became of a refresh token. */
export type Spent =
  | Renewed
  | ForApi
  /** The new tokens do not fit into cookies. */
  | { readonly kind: 'unsealable', readonly error: BullaError }
  /** The session was ended while the provider was asked. */
  | { readonly kind: 'revoked' }
  | Exclude<RefreshOutcome, { kind: 'renewed' | 'granted' | 'refused' }>

/** New tokens for the session. */
export interface Renewed { readonly kind: 'renewed', readonly session: Session }

/** A token for one API, or why there is none. */
export type ForApi = Extract<RefreshOutcome, { kind: 'granted' | 'refused' }>

/** There is nothing new. */
export type Failure = Exclude<Spent, Renewed | ForApi>

/** Spends refresh tokens. */
export interface Spender {
  /** Spends a session's refresh token, or hands out what came of it. Never throws, cannot be cancelled. */
  spend (session: Session): Promise<Renewed | Failure>
  /** The same for a token for one API, in place of new ones for the session. */
  spendFor (session: Session, target: TokenTarget): Promise<ForApi | Failure>
  /** The newest generation that came of a session within the last minute; most often the session itself. */
  latest (session: Session): Session
  /** The `Set-Cookie` values of a session that was renewed here; `null` for any other. */
  sealed (session: Session): readonly string[] | null
}

/** What spending needs. */
export interface SpenderOptions {
  readonly cookies: Cookies
  readonly store: SessionStore
  readonly oidc: RefreshOptions
  readonly log: FastifyBaseLogger
  /** Whether a session has been ended before its time. */
  readonly isRevoked: (session: Session) => boolean
  /** Revokes, in the background, tokens that nobody will get. */
  readonly revokeTokens: (tokens: Partial<Pick<Session, 'refreshToken' | 'accessToken'>>) => void
}

/** Milliseconds for which late requests with the old cookie get the very same new session. */
const REMEMBER_RENEWED = 60_000

/** Milliseconds for which a dead token is not tried again; the marker in the browser says so for longer. */
const REMEMBER_DEAD = 24 * 3_600_000

/** The most bytes, roughly, that remembered results take. */
const MEMORY = 32 * 1024 * 1024

/** The most generations that are followed. */
const MAX_STEPS = 500

const SAID: Readonly<Record<Exclude<RefreshOutcome['kind'], 'renewed' | ForApi['kind']>, string>> = {
  invalid_grant: 'a refresh token is no longer good',
  transient: 'a refresh failed for now',
  misconfigured: 'the authorization server refuses to refresh for this client',
  mismatch: 'refreshed tokens speak of another login: the session ends'
}

/**
 * Creates the spender.
 *
 * @param options what it needs
 */
export function createSpender (options: SpenderOptions): Spender {
  const { cookies, store, oidc, log, isRevoked, revokeTokens } = options
  const flights = createSingleFlight<Flight>({ rememberFor: memoryOf, weight: { of: weightOf, max: MEMORY } })
  const breakerOf = createBreakers()
  const sealed = new WeakMap<Session, readonly string[]>()

  async function attempt (session: Session, target: TokenTarget | undefined): Promise<Spent> {
    const breaker = breakerOf(targetName(target))
    const pass = breaker.enter() ?? await secondChance(session, breaker)
    if (pass === null) return NOT_NOW
    const limit = pass.isProbe ? PROBE_LIMIT : undefined
    const outcome = await refreshSession(session, oidc, { target, limit })
    pass.done(!('isEveryones' in outcome && outcome.isEveryones))
    tell(outcome)
    if (outcome.kind === 'mismatch') {
      // The new tokens first; the old access token may live on beside them.
      revokeTokens(outcome.session)
      revokeTokens(session)
    }
    if (!hasSession(outcome)) return outcome
    if (isRevoked(session)) {
      // I70: the logout came while the provider was asked; what it answered must not outlive it.
      revokeTokens({ ...outcome.session, ...(outcome.kind === 'granted' ? outcome.token : {}) })
      return { kind: 'revoked' }
    }
    if (outcome.session === null) return outcome
    return await seal(outcome.session) ?? outcome
  }

  function memoryOf ({ spent }: Flight): number {
    switch (spent.kind) {
      case 'renewed': return REMEMBER_RENEWED
      case 'granted': case 'refused': return spent.session === null ? 0 : untilDue(spent.session)
      case 'invalid_grant': case 'mismatch': case 'unsealable': case 'revoked': return REMEMBER_DEAD
      case 'transient': case 'misconfigured': return spent.isEveryones ? 0 : REMEMBER_REFUSED
    }
  }

  /** Whoever missed the new refresh token asks for it when the access token, still the old one, ends. */
  function untilDue ({ accessTokenExpiresAt }: Session): number {
    return Math.max(0, accessTokenExpiresAt - unixSeconds(oidc.clock)) * 1000 + REMEMBER_RENEWED
  }

  /** A session that has nothing left to live on waits for the next turn, once. */
  async function secondChance (session: Session, breaker: Breaker): Promise<Pass | null> {
    if (hasLiveAccessToken(session, unixSeconds(oidc.clock))) return null
    await sleep(TRICKLE.interval)
    return breaker.enter()
  }

  /**
   * Sealed for nobody in particular: what each request's cookies need beyond it is added for each.
   *
   * @returns `null` once it is done
   */
  async function seal (session: Session): Promise<Failure | null> {
    try {
      sealed.set(session, await store.write(session, cookies.read(undefined)))
      return null
    } catch (error) {
      log.error({ cause: describeError(error) }, 'the refreshed session cannot be sealed')
      const fault = error instanceof BullaError ? error : new BullaError('internal', { cause: error })
      return { kind: 'unsealable', error: fault }
    }
  }

  function tell (outcome: RefreshOutcome): void {
    if (outcome.kind === 'renewed' || outcome.kind === 'granted' || outcome.kind === 'refused') return
    const cause = 'cause' in outcome ? describeError(outcome.cause) : 'invalid_grant'
    const level = outcome.kind === 'invalid_grant' ? 'info' : outcome.kind === 'transient' ? 'warn' : 'error'
    log[level]({ cause }, SAID[outcome.kind])
  }

  /** Never another's result (S42): token, session and generation, and whose they are. */
  function keyOf (session: Session): string {
    const { sid, generation, refreshToken } = session
    const whose = [oidc.provider.issuer, oidc.client.client.client_id, sid, generation, refreshToken]
    return createHash('sha256').update(JSON.stringify(whose)).digest('base64url')
  }

  function latest (session: Session): Session {
    let current = session
    for (let step = 0; step < MAX_STEPS && current.refreshToken !== undefined; step++) {
      const next = successorIn(flights.peek(keyOf(current)))
      if (next === null) break
      current = next
    }
    return current
  }

  /**
   * One flight for a refresh token, whatever it is spent for. Who wanted something else goes on with what
   * came of it, and is not told of another's passing fault.
   */
  async function spendFor (session: Session, target: TokenTarget | undefined): Promise<Spent> {
    const purpose = targetName(target)
    const waitsUntil = performance.now() + CALL_TIMEOUT
    let current = session
    for (let step = 0; step < MAX_STEPS; step++) {
      const flight = await flights.run(keyOf(current), async () =>
        ({ purpose, spent: await attempt(current, target) }))
      const { spent } = flight
      if (flight.purpose === purpose || !isPassing(spent)) return spent
      if (performance.now() > waitsUntil) break
      current = successorIn(flight) ?? current
    }
    return NOT_NOW
  }

  return {
    spend: async (session) => await spendFor(session, undefined) as Renewed | Failure,
    spendFor: async (session, target) => await spendFor(session, target) as ForApi | Failure,
    latest,
    sealed: (session) => sealed.get(session) ?? null
  }
}

/**
 * The error of a refresh token that brought nothing.
 *
 * @param failure what became of it
 * @param setCookies what its answer carries
 */
export function faultOf (
  failure: Exclude<Failure, { kind: 'mismatch' }>, setCookies: readonly string[] = []
): BullaError {
  switch (failure.kind) {
    case 'invalid_grant': return new BullaError('session_expired', { setCookies })
    case 'revoked': return new BullaError('session_revoked')
    case 'unsealable': return failure.error.withCookies(setCookies)
    case 'misconfigured': return new BullaError('idp_misconfigured', { cause: failure.cause })
    case 'transient':
      return new BullaError('idp_unavailable', { retryAfter: RETRY_AFTER, cause: failure.cause })
  }
}

/** What a refresh token was spent for, and what came of it. */
interface Flight { readonly purpose: string, readonly spent: Spent }

/** What may have replaced the refresh token. */
function hasSession (spent: Spent): spent is Renewed | ForApi {
  return spent.kind === 'renewed' || spent.kind === 'granted' || spent.kind === 'refused'
}

/** What is said of another purpose alone, or of this moment. */
function isPassing (spent: Spent): boolean {
  return hasSession(spent) || ('isEveryones' in spent && spent.isEveryones)
}

/** The session that stands in the place of the one that was spent. */
function successorIn (flight: Flight | undefined): Session | null {
  return flight !== undefined && hasSession(flight.spent) ? flight.spent.session : null
}

/** Tokens, and about the same again for the sealed text and the rest. */
function weightOf (flight: Flight): number {
  const session = successorIn(flight)
  if (session === null) return 512
  const { accessToken, refreshToken = '', idToken = '', claims } = session
  const bought = flight.spent.kind === 'granted' ? flight.spent.token.accessToken.length : 0
  const tokens = accessToken.length + refreshToken.length + idToken.length + bought
  return 1024 + 2 * (tokens + JSON.stringify(claims).length)
}
