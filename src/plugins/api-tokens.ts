// Tokens for one API, kept in the memory of this process: asked for once, and again ahead of their expiry.
import type { FastifyBaseLogger } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { RouteConfig } from '../config/schema.ts'
import { createBreaker } from '../lib/breaker.ts'
import { unixSeconds } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { createSingleFlight } from '../lib/single-flight.ts'
import type { TokenFault } from '../oidc/token-answer.ts'
import {
  clientToken, exchangedToken, targetParams,
  type ApiToken, type ApiTokenOptions, type ApiTokenOutcome, type TokenTarget
} from '../oidc/token-for-api.ts'
import type { SessionState } from '../session/store.ts'
import type { ActiveSession, Renewal } from './renewal.ts'
import { NOT_NOW, PROBE_LIMIT, REMEMBER_REFUSED, RETRY_AFTER, TRICKLE } from './sparing.ts'

/** Where the token of a route comes from, if it is not the session's own. */
export interface TokenSource {
  /** By client credentials, in exchange for the session's token, or bought with its refresh token. */
  readonly kind: 'client' | 'exchange' | 'refresh'
  readonly target: TokenTarget
  /** Equal for equal sources. */
  readonly key: string
}

/** Whose token is asked for: `null` for the client itself. */
export interface Bearer { readonly active: ActiveSession, readonly state: SessionState }

/** A token for an API, and the session after it was fetched. */
export interface ApiGrant { readonly accessToken: string, readonly active: ActiveSession | null }

/** Tokens for APIs. */
export interface ApiTokens {
  /**
   * A token of a source, at once if one is known that lives for a while.
   *
   * @throws {BullaError} `idp_unavailable`, `idp_misconfigured`; with `refresh` what {@link Renewal} throws
   */
  of (source: TokenSource, bearer: Bearer | null): ApiGrant | Promise<ApiGrant>
  /** Forgets a token that its API refuses. @returns `false` if it is so fresh that another would not help */
  forget (source: TokenSource, bearer: Bearer | null): boolean
}

/** What the tokens need. */
export interface ApiTokensOptions {
  readonly oidc: ApiTokenOptions
  readonly renewal: Pick<Renewal, 'grant' | 'newest'>
  readonly log: FastifyBaseLogger
  /** Seconds before the expiry, at most a fifth of the lifetime. */
  readonly ahead: number
}

/** The most bytes, roughly, that tokens take. */
const MEMORY = 16 * 1024 * 1024

/** Seconds for which a token is new: what refuses it would refuse another one too. */
export const FRESH = 30

/**
 * Where the token of a route comes from.
 *
 * @param route the route's settings, checked
 * @returns `null` if it is the session's own, or if there is none
 */
export function tokenSourceOf (route: RouteConfig): TokenSource | null {
  const { token, exchange } = route
  const { resource, audience, scope } = route
  const target: TokenTarget = exchange ?? { resource, audience, scope }
  const params = JSON.stringify(targetParams(target))
  const kind = token === 'client' ? 'client' : exchange !== undefined ? 'exchange' : 'refresh'
  if (token === 'none' || (kind === 'refresh' && params === '{}')) return null
  return { kind, target, key: `${kind} ${params}` }
}

/**
 * The resources that logins must ask for, so that refresh tokens can buy tokens for them.
 *
 * @param routes all routes
 * @see https://www.rfc-editor.org/rfc/rfc8707#section-2.1
 */
export function resourcesOf (routes: readonly RouteConfig[]): readonly string[] {
  const resources = routes.map(tokenSourceOf)
    .map((source) => source?.kind === 'refresh' ? source.target.resource : undefined)
    .filter((resource) => resource !== undefined)
  return [...new Set(resources)]
}

/**
 * Creates the tokens. They live in this process and in no cookie: another replica asks for its own.
 *
 * @param options what they need
 */
export function createApiTokens (options: ApiTokensOptions): ApiTokens {
  const { oidc, renewal, log, ahead } = options
  const known = new LRUCache<string, ApiToken>({ maxSize: MEMORY, sizeCalculation: weightOf })
  const refusals = new LRUCache<string, BullaError>({ max: 10_000, ttl: REMEMBER_REFUSED })
  const flights = createSingleFlight<ApiTokenOutcome>()
  const breakers = { client: createBreaker(TRICKLE), exchange: createBreaker(TRICKLE) }

  function of (source: TokenSource, bearer: Bearer | null): ApiGrant | Promise<ApiGrant> {
    const key = keyOf(source, bearer)
    const token = known.get(key)
    const now = unixSeconds(oidc.clock)
    if (token === undefined || now >= dueAt(token)) {
      return fetched(key, source, bearer, token !== undefined && now < token.expiresAt ? token : null)
    }
    return withToken(token, source, bearer)
  }

  /** While the old token lives, it serves on if there is no new one. */
  async function fetched (
    key: string, source: TokenSource, bearer: Bearer | null, old: ApiToken | null
  ): Promise<ApiGrant> {
    try {
      const { token, active } = await ask(key, source, bearer)
      known.set(key, token)
      return { accessToken: token.accessToken, active }
    } catch (error) {
      remember(key, source, error)
      if (old === null) throw error
      return await withToken(old, source, bearer)
    }
  }

  async function ask (
    key: string, source: TokenSource, bearer: Bearer | null
  ): Promise<{ token: ApiToken, active: ActiveSession | null }> {
    const { kind, target } = source
    const refusal = refusals.get(key)
    if (refusal !== undefined) throw refusal
    if (kind === 'refresh') return await renewal.grant(personOf(bearer).state, personOf(bearer).active, target)
    const outcome = await flights.run(key, async () => await attempt(kind, target, bearer))
    if (outcome.kind !== 'token') throw faultOf(outcome)
    return { token: outcome.token, active: bearer?.active ?? null }
  }

  async function attempt (
    kind: 'client' | 'exchange', target: TokenTarget, bearer: Bearer | null
  ): Promise<ApiTokenOutcome> {
    const pass = breakers[kind].enter()
    if (pass === null) return NOT_NOW
    const limit = pass.isProbe ? PROBE_LIMIT : undefined
    const outcome = kind === 'client'
      ? await clientToken(target, oidc, limit)
      : await exchangedToken(personOf(bearer).active.session.accessToken, target, oidc, limit)
    pass.done(!isEveryones(outcome))
    if (outcome.kind === 'transient') {
      log.warn({ cause: describeError(outcome.cause), grant: kind }, 'there is no token for an API for now')
    }
    return outcome
  }

  /** A refusal stands for a moment, and is told once. */
  function remember (key: string, { kind, target }: TokenSource, error: unknown): void {
    const isRefusal = error instanceof BullaError && error.code === 'idp_misconfigured'
    if (!isRefusal || refusals.has(key)) return
    refusals.set(key, error)
    const cause = describeError(error.cause)
    log.error({ cause, grant: kind, ...targetParams(target) }, 'the authorization server refuses a token for an API')
  }

  /** What the refresh token bought may have replaced it: late requests hear of that too. */
  function withToken (
    { accessToken }: ApiToken, { kind }: TokenSource, bearer: Bearer | null
  ): ApiGrant | Promise<ApiGrant> {
    if (bearer === null || kind !== 'refresh') return { accessToken, active: bearer?.active ?? null }
    const newest = renewal.newest(bearer.state, bearer.active)
    if (newest instanceof Promise) return newest.then((active) => ({ accessToken, active }))
    return { accessToken, active: newest }
  }

  function dueAt ({ issuedAt, expiresAt }: ApiToken): number {
    return expiresAt - Math.min(ahead, (expiresAt - issuedAt) / 5)
  }

  function forget (source: TokenSource, bearer: Bearer | null): boolean {
    const key = keyOf(source, bearer)
    const token = known.get(key)
    if (token !== undefined && unixSeconds(oidc.clock) - token.issuedAt < FRESH) return false
    known.delete(key)
    return true
  }

  return { of, forget }
}

/** A `sid` is random: nobody gets what was fetched for somebody else (S42). */
function keyOf (source: TokenSource, bearer: Bearer | null): string {
  return source.kind === 'client' ? source.key : `${personOf(bearer).active.session.sid} ${source.key}`
}

function personOf (bearer: Bearer | null): Bearer {
  if (bearer === null) throw new BullaError('login_required')
  return bearer
}

/** Whether a fault is one that everybody meets. */
function isEveryones (outcome: ApiTokenOutcome): boolean {
  return 'isEveryones' in outcome && outcome.isEveryones
}

function faultOf (fault: TokenFault): BullaError {
  if (fault.kind === 'transient') return new BullaError('idp_unavailable', { retryAfter: RETRY_AFTER, cause: fault.cause })
  // TEX-02: what cannot be exchanged says nothing of the session.
  const cause = fault.kind === 'invalid_grant' ? new Error('the token endpoint answered invalid_grant') : fault.cause
  return new BullaError('idp_misconfigured', { cause })
}

function weightOf ({ accessToken }: ApiToken, key: string): number {
  return 256 + 2 * (accessToken.length + key.length)
}
