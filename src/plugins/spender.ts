// Spends refresh tokens: each once in this process, its result kept for latecomers, a failing provider
// spared.
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { unixSeconds } from '../lib/clock.ts'
import { createBreaker, type Pass } from '../lib/breaker.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { createSingleFlight } from '../lib/single-flight.ts'
import { refreshSession, type RefreshOptions, type RefreshOutcome } from '../oidc/refresh.ts'
import { isSameTarget, type TokenTarget } from '../oidc/token-for-api.ts'
import type { Cookies } from '../session/cookies.ts'
import { hasLiveAccessToken, type Session } from '../session/session.ts'
import type { SessionStore } from '../session/store.ts'
import { NOT_NOW, PROBE_LIMIT, REMEMBER_REFUSED, TRICKLE } from './sparing.ts'

/** What became of a refresh token. */
export type Spent =
  | Renewed
  | Granted
  /** The new tokens do not fit into cookies. */
  | { readonly kind: 'unsealable', readonly error: BullaError }
  /** The session was ended while the provider was asked. */
  | { readonly kind: 'revoked' }
  | Exclude<RefreshOutcome, { kind: 'renewed' | 'granted' }>

/** New tokens for the session. */
export interface Renewed { readonly kind: 'renewed', readonly session: Session }

/** There is nothing new. */
export type Failure = Exclude<Spent, Renewed | Granted>

/** A token for another API. */
export type Granted = Extract<RefreshOutcome, { kind: 'granted' }>

/** Spends refresh tokens. */
export interface Spender {
  /** Spends a session's refresh token, or hands out what came of it. Never throws, cannot be cancelled. */
  spend (session: Session): Promise<Exclude<Spent, Granted>>
  /** The same for a token for another API, in place of new ones for the session. */
  spendFor (session: Session, target: TokenTarget): Promise<Exclude<Spent, Renewed>>
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

/**
 * Milliseconds for which a dead token is not tried again; the marker in the browser says the same for longer.
 */
const REMEMBER_DEAD = 24 * 3_600_000

/** The most bytes, roughly, that remembered results take. */
const MEMORY = 32 * 1024 * 1024

/** The most generations that are followed within the memory's minute. */
const MAX_STEPS = 100

const SAID: Readonly<Record<Exclude<RefreshOutcome['kind'], 'renewed' | 'granted'>, string>> = {
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
  const flights = createSingleFlight<Spent>({ rememberFor: memoryOf, weight: { of: weightOf, max: MEMORY } })
  const breaker = createBreaker(TRICKLE)
  const sealed = new WeakMap<Session, readonly string[]>()

  async function attempt (session: Session, target: TokenTarget | undefined): Promise<Spent> {
    const pass = breaker.enter() ?? await secondChance(session)
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
    if (outcome.kind !== 'renewed' && outcome.kind !== 'granted') return outcome
    if (isRevoked(session)) {
      // I70: the logout came while the provider was asked; what it answered must not outlive it.
      revokeTokens({ ...outcome.session, ...(outcome.kind === 'granted' ? outcome.token : {}) })
      return { kind: 'revoked' }
    }
    if (outcome.session === null) return outcome
    return await seal(outcome.session) ?? outcome
  }

  /** A session that has nothing left to live on waits for the next turn, once. */
  async function secondChance (session: Session): Promise<Pass | null> {
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
    if (outcome.kind === 'renewed' || outcome.kind === 'granted') return
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
   * One flight for a refresh token, whatever it is spent for; who wanted something else goes on with what
   * came of it.
   */
  async function spendUntil<S extends Spent> (
    session: Session, target: TokenTarget | undefined, isWanted: (spent: Spent) => spent is S
  ): Promise<S | Failure> {
    let current = session
    for (let step = 0; step < MAX_STEPS; step++) {
      const spent = await flights.run(keyOf(current), async () => await attempt(current, target))
      if (isWanted(spent) || isFailure(spent)) return spent
      current = successorIn(spent) ?? current
    }
    return NOT_NOW
  }

  return {
    spend: async (session) => await spendUntil(session, undefined, isRenewed),
    spendFor: async (session, target) => {
      const isFor = (spent: Spent): spent is Granted => spent.kind === 'granted' && isSameTarget(spent.target, target)
      return await spendUntil(session, target, isFor)
    },
    latest,
    sealed: (session) => sealed.get(session) ?? null
  }
}

function isRenewed (spent: Spent): spent is Renewed { return spent.kind === 'renewed' }

function isFailure (spent: Spent): spent is Failure { return spent.kind !== 'renewed' && spent.kind !== 'granted' }

/** The session that stands in the place of the one that was spent. */
function successorIn (spent: Spent | undefined): Session | null {
  return spent?.kind === 'renewed' || spent?.kind === 'granted' ? spent.session : null
}

function memoryOf (spent: Spent): number {
  switch (spent.kind) {
    case 'renewed': return REMEMBER_RENEWED
    // A token that is still good may be spent again.
    case 'granted': return spent.session === null ? 0 : REMEMBER_RENEWED
    case 'invalid_grant': case 'mismatch': case 'unsealable': case 'revoked': return REMEMBER_DEAD
    case 'transient': case 'misconfigured': return spent.isEveryones ? 0 : REMEMBER_REFUSED
  }
}

/** Tokens, and about the same again for the sealed text and the rest. */
function weightOf (spent: Spent): number {
  const session = successorIn(spent)
  if (session === null) return 512
  const { accessToken, refreshToken = '', idToken = '', claims } = session
  const tokens = accessToken.length + refreshToken.length + idToken.length
  return 1024 + 2 * (tokens + JSON.stringify(claims).length)
}
