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
import type { Cookies } from '../session/cookies.ts'
import { hasLiveAccessToken, type Session } from '../session/session.ts'
import type { SessionStore } from '../session/store.ts'

/** What became of a refresh token. */
export type Spent =
  | { readonly kind: 'renewed', readonly session: Session }
  /** The new tokens do not fit into cookies. */
  | { readonly kind: 'unsealable', readonly error: BullaError }
  /** The session was ended while the provider was asked. */
  | { readonly kind: 'revoked' }
  | Exclude<RefreshOutcome, { kind: 'renewed' }>

/** Spends refresh tokens. */
export interface Spender {
  /** Spends a session's refresh token, or hands out what came of it. Never throws, cannot be cancelled. */
  spend (session: Session): Promise<Spent>
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
  readonly revokeTokens: (session: Session) => void
}

/** Milliseconds for which late requests with the old cookie get the very same new session. */
const REMEMBER_RENEWED = 60_000

/**
 * Milliseconds for which a dead token is not tried again; the marker in the browser says the same for longer.
 */
const REMEMBER_DEAD = 24 * 3_600_000

/** Milliseconds for which a session waits that alone is refused, such as for its scope. */
const REMEMBER_REFUSED = 1_000

/** The most bytes, roughly, that remembered results take. */
const MEMORY = 32 * 1024 * 1024

/** The most generations that are followed within the memory's minute. */
const MAX_STEPS = 100

/**
 * While the provider fails: 4 calls a second, 2 in flight, each at most 4 s, so that its return is seen at
 * once.
 */
const TRICKLE = { threshold: 3, inFlight: 2, interval: 250 }
const PROBE_LIMIT = 4_000

const NOT_NOW: Spent = {
  kind: 'transient', cause: new Error('the authorization server fails; waiting for its return'), isEveryones: true
}

const SAID: Readonly<Record<Exclude<RefreshOutcome['kind'], 'renewed'>, string>> = {
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

  async function attempt (session: Session): Promise<Spent> {
    const pass = breaker.enter() ?? await secondChance(session)
    if (pass === null) return NOT_NOW
    const outcome = await refreshSession(session, oidc, pass.isProbe ? PROBE_LIMIT : undefined)
    pass.done(!('isEveryones' in outcome && outcome.isEveryones))
    tell(outcome)
    if (outcome.kind === 'mismatch') {
      // The new tokens first; the old access token may live on beside them.
      revokeTokens(outcome.session)
      revokeTokens(session)
    }
    if (outcome.kind !== 'renewed') return outcome
    if (!isRevoked(session)) return await seal(outcome.session)
    // I70: the logout came while the provider was asked; what it answered must not outlive it.
    revokeTokens(outcome.session)
    return { kind: 'revoked' }
  }

  /** A session that has nothing left to live on waits for the next turn, once. */
  async function secondChance (session: Session): Promise<Pass | null> {
    if (hasLiveAccessToken(session, unixSeconds(oidc.clock))) return null
    await sleep(TRICKLE.interval)
    return breaker.enter()
  }

  /** Sealed for nobody in particular: what each request's cookies need beyond it is added for each. */
  async function seal (session: Session): Promise<Spent> {
    try {
      sealed.set(session, await store.write(session, cookies.read(undefined)))
      return { kind: 'renewed', session }
    } catch (error) {
      log.error({ cause: describeError(error) }, 'the refreshed session cannot be sealed')
      const fault = error instanceof BullaError ? error : new BullaError('internal', { cause: error })
      return { kind: 'unsealable', error: fault }
    }
  }

  function tell (outcome: RefreshOutcome): void {
    if (outcome.kind === 'renewed') return
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
      const next = flights.peek(keyOf(current))
      if (next?.kind !== 'renewed') break
      current = next.session
    }
    return current
  }

  return {
    spend: async (session) => await flights.run(keyOf(session), async () => await attempt(session)),
    latest,
    sealed: (session) => sealed.get(session) ?? null
  }
}

function memoryOf (spent: Spent): number {
  switch (spent.kind) {
    case 'renewed': return REMEMBER_RENEWED
    case 'invalid_grant': case 'mismatch': case 'unsealable': case 'revoked': return REMEMBER_DEAD
    case 'transient': case 'misconfigured': return spent.isEveryones ? 0 : REMEMBER_REFUSED
  }
}

/** Tokens, and about the same again for the sealed text and the rest. */
function weightOf (spent: Spent): number {
  if (spent.kind !== 'renewed') return 512
  const { accessToken, refreshToken = '', idToken = '', claims } = spent.session
  const tokens = accessToken.length + refreshToken.length + idToken.length
  return 1024 + 2 * (tokens + JSON.stringify(claims).length)
}
