// Tokens for one API, kept in the memory of this process: asked for once, and again ahead of their expiry.
import type { FastifyBaseLogger } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { Config, RouteConfig } from '../config/schema.ts'
import { unixSeconds } from '../lib/clock.ts'
import { BullaError, type ErrorCode } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { createSingleFlight } from '../lib/single-flight.ts'
import type { TokenFault } from '../oidc/token-answer.ts'
import {
  clientToken, exchangedToken, type ApiToken, type ApiTokenOptions, type ApiTokenOutcome
} from '../oidc/token-for-api.ts'
import { targetName, targetParams, type TokenTarget } from '../oidc/token-target.ts'
import type { SessionState } from '../session/store.ts'
import type { ActiveSession, Grant, Renewal } from './renewal.ts'
import { createBreakers, FRESH, NOT_NOW, PROBE_LIMIT, RETRY_AFTER } from './sparing.ts'

/** Where the token of a route comes from, if it is not the session's own. */
export interface TokenSource {
  /** By client credentials, in exchange for the session's token, or bought with its refresh token. */
  readonly kind: 'client' | 'exchange' | 'refresh'
  readonly target: TokenTarget
  /** Equal for equal sources. */
  readonly key: string
}

/** Whose token is asked for; `null` for the client's own. */
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
  /**
   * Hears that an API refuses a token, and forgets it.
   *
   * @param sid whose token it was; `null` for the client's own
   * @param refused the token
   * @returns `false` if it is so fresh that another would not help
   */
  forget (source: TokenSource, sid: string | null, refused: string): boolean
}

/** What the tokens need. */
export interface ApiTokensOptions {
  readonly oidc: ApiTokenOptions
  readonly renewal: Pick<Renewal, 'grant' | 'newest' | 'canBuy'>
  readonly log: FastifyBaseLogger
  /** Seconds before the expiry, at most a fifth of the lifetime. */
  readonly ahead: number
}

/** The most bytes, roughly, that tokens take. */
const MEMORY = 16 * 1024 * 1024

/** Milliseconds for which a refusal stands before it is asked for again. */
const REFUSED_FOR = 10_000

/** Faults that say nothing of the session: a token that lives serves on. */
const HARMLESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['idp_unavailable', 'idp_misconfigured', 'session_stale'])

/**
 * Where the token of a route comes from.
 *
 * @param route the route's settings, checked
 * @returns `null` if it is the session's own, or if there is none
 */
export function tokenSourceOf (route: RouteConfig): TokenSource | null {
  const { token, exchange, resource, audience, scope } = route
  const target: TokenTarget = exchange ?? { resource, audience, scope }
  const name = targetName(target)
  const kind = token === 'client' ? 'client' : exchange !== undefined ? 'exchange' : 'refresh'
  if (token === 'none' || (kind === 'refresh' && name === '')) return null
  return { kind, target, key: `${kind} ${name}` }
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
 * What the session's own tokens are for, where a login asks for several resources: the one that
 * `authorization_params` name.
 *
 * @param config of the deployment
 * @returns `undefined` where nothing need be said at the token endpoint
 * @see https://www.rfc-editor.org/rfc/rfc8707#section-2.2
 */
export function ownTargetOf (config: Config): TokenTarget | undefined {
  const { resource } = config.authorization_params
  return resource === undefined || resourcesOf(config.routes).length === 0 ? undefined : { resource }
}

/**
 * Creates the tokens. They live in this process and in no cookie: another replica asks for its own.
 *
 * @param options what they need
 */
export function createApiTokens (options: ApiTokensOptions): ApiTokens {
  const { oidc, renewal, log, ahead } = options
  const known = new LRUCache<string, ApiToken>({ maxSize: MEMORY, sizeCalculation: weightOf })
  const refusals = new LRUCache<string, BullaError>({ max: 10_000, ttl: REFUSED_FOR })
  const told = new LRUCache<string, true>({ max: 1_000, ttl: REFUSED_FOR })
  const flights = createSingleFlight<ApiTokenOutcome>()
  const breakerOf = createBreakers()

  function of (source: TokenSource, bearer: Bearer | null): ApiGrant | Promise<ApiGrant> {
    const key = keyOf(source, bearer?.active.session.sid ?? null)
    const token = known.get(key)
    const now = unixSeconds(oidc.clock)
    if (token === undefined || now >= token.expiresAt) return fetched(key, source, bearer)
    return now >= dueAt(token) ? renewed(key, token, source, bearer) : withToken(token, source, bearer)
  }

  async function fetched (key: string, source: TokenSource, bearer: Bearer | null): Promise<ApiGrant> {
    const refusal = refusals.get(key)
    if (refusal !== undefined) throw refusal
    try {
      const { token, active } = await ask(key, source, bearer)
      known.set(key, token)
      return { accessToken: token.accessToken, active }
    } catch (error) {
      remember(key, source, error)
      throw error
    }
  }

  /** While the old token lives, it serves on if there is no new one, unless the session itself is over. */
  async function renewed (
    key: string, old: ApiToken, source: TokenSource, bearer: Bearer | null
  ): Promise<ApiGrant> {
    if (source.kind === 'refresh' && bearer !== null && !renewal.canBuy(bearer.state, bearer.active)) {
      return await withToken(old, source, bearer)
    }
    try {
      return await fetched(key, source, bearer)
    } catch (error) {
      if (!(error instanceof BullaError) || !HARMLESS.has(error.code)) throw error
      const { accessToken, active } = await withToken(old, source, bearer)
      return { accessToken, active: active === null ? null : withCookies(active, error.setCookies) }
    }
  }

  async function ask (
    key: string, { kind, target }: TokenSource, bearer: Bearer | null
  ): Promise<Grant | { token: ApiToken, active: ActiveSession | null }> {
    if (kind === 'refresh') return await renewal.grant(personOf(bearer).state, personOf(bearer).active, target)
    const outcome = await flights.run(key, async () => await attempt(kind, target, bearer))
    if (outcome.kind !== 'token') throw faultOf(outcome)
    return { token: outcome.token, active: bearer?.active ?? null }
  }

  async function attempt (
    kind: 'client' | 'exchange', target: TokenTarget, bearer: Bearer | null
  ): Promise<ApiTokenOutcome> {
    const pass = breakerOf(`${kind} ${targetName(target)}`).enter()
    if (pass === null) return NOT_NOW
    const limit = pass.isProbe ? PROBE_LIMIT : undefined
    const outcome = kind === 'client'
      ? await clientToken(target, oidc, limit)
      : await exchangedToken(personOf(bearer).active.session.accessToken, target, oidc, limit)
    pass.done(!('isEveryones' in outcome && outcome.isEveryones))
    if (outcome.kind === 'transient') {
      log.warn({ cause: describeError(outcome.cause), grant: kind }, 'there is no token for an API for now')
    }
    return outcome
  }

  /** A refusal stands for a while, and is told once for all whom it meets. */
  function remember (key: string, { kind, target, key: name }: TokenSource, error: unknown): void {
    if (!(error instanceof BullaError) || error.code !== 'idp_misconfigured') return
    refusals.set(key, new BullaError(error.code, { cause: error.cause }))
    if (told.has(name)) return
    told.set(name, true)
    const cause = describeError(error.cause)
    log.error({ cause, grant: kind, ...targetParams(target) }, 'there is no token for an API')
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

  function forget (source: TokenSource, sid: string | null, refused: string): boolean {
    const key = keyOf(source, sid)
    const token = known.get(key)
    // Somebody else has fetched another one meanwhile.
    if (token === undefined || token.accessToken !== refused) return true
    if (unixSeconds(oidc.clock) - token.issuedAt < FRESH) return false
    known.delete(key)
    return true
  }

  return { of, forget }
}

/** A `sid` is random: nobody gets what was fetched for somebody else (S42). */
function keyOf (source: TokenSource, sid: string | null): string {
  return sid === null ? source.key : `${sid} ${source.key}`
}

function personOf (bearer: Bearer | null): Bearer {
  if (bearer === null) throw new BullaError('login_required')
  return bearer
}

function withCookies (active: ActiveSession, setCookies: readonly string[]): ActiveSession {
  if (setCookies.length === 0) return active
  const { session, accessToken } = active
  return { session, accessToken, get setCookies () { return [...active.setCookies, ...setCookies] } }
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
