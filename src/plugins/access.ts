// What a call may show its API: nothing, the token of its session, or one for this API; decided for calls,
// sockets and aggregates alike.
import type { FastifyRequest } from 'fastify'
import type { RouteConfig } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import type { OpenedSession } from '../session/session.ts'
import type { SessionState } from '../session/store.ts'
import { tokenSourceOf, type ApiGrant, type ApiTokens, type TokenSource } from './api-tokens.ts'
import { toBullaError } from './errors.ts'
import type { ActiveSession, Renewal } from './renewal.ts'
import { FRESH } from './sparing.ts'

/** What a call may show, and whose it is. */
export interface Access {
  /** `null` where the call speaks for nobody. */
  readonly session: OpenedSession | null
  readonly accessToken: string | null
  /** Read it when the answer starts: it brings the newest session that is known by then. */
  readonly setCookies: readonly string[]
}

/** What a route wants; see {@link accessPolicyOf}. */
export type AccessPolicy =
  | { readonly token: 'none' }
  | { readonly token: 'client', readonly source: TokenSource }
  | { readonly token: 'user' | 'optional', readonly source: TokenSource | null }

/** Decides about access. */
export interface AccessControl {
  /** What a call's cookies hold; {@link of} asks whether that is still good. Runs no code of others. */
  open (request: FastifyRequest): SessionState
  /**
   * What a call may show.
   *
   * @param opened what its cookies hold, where they were opened already
   * @throws {BullaError} `login_required`, `session_expired`, `session_stale`, `session_revoked`,
   * `idp_unavailable`, `idp_misconfigured`
   */
  of (policy: AccessPolicy, request: FastifyRequest, opened?: SessionState | null): Access | Promise<Access>
  /** The same after an API refused the token; `null` if there is no other to be had. */
  again (policy: AccessPolicy, request: FastifyRequest, access: Access): Promise<Access | null>
}

/** What deciding needs. */
export interface AccessOptions {
  readonly open: (request: FastifyRequest) => SessionState
  /** What an opened session amounts to, once it was asked whether it is over before its time. */
  readonly judge: (state: SessionState) => SessionState
  readonly renewal: Renewal
  readonly apiTokens: ApiTokens
  readonly clock: Clock
}

const NOBODY: Access = { session: null, accessToken: null, setCookies: [] }

/**
 * What a route wants.
 *
 * @param route the route's settings, checked
 */
export function accessPolicyOf (route: RouteConfig): AccessPolicy {
  const { token } = route
  const source = tokenSourceOf(route)
  if (token === 'none' || (token === 'client' && source === null)) return { token: 'none' }
  return token === 'client' ? { token, source: source as TokenSource } : { token, source }
}

/**
 * Creates the decisions.
 *
 * @param options what they need
 */
export function createAccess (options: AccessOptions): AccessControl {
  const { open, judge, renewal, apiTokens, clock } = options

  function of (
    policy: AccessPolicy, request: FastifyRequest, opened: SessionState | null = null
  ): Access | Promise<Access> {
    if (policy.token === 'none') return NOBODY
    if (policy.token === 'client') return granted(apiTokens.of(policy.source, null))
    const state = judge(opened ?? open(request))
    if (policy.token === 'user') return ofPerson(policy.source, state)
    if (state.session === null) return NOBODY
    return optional(policy.source, state)
  }

  function ofPerson (source: TokenSource | null, state: SessionState): Access | Promise<Access> {
    const active = renewal.activate(state)
    if (source === null) return active
    if (active instanceof Promise) return active.then(async (settled) => await ofApi(source, settled, state))
    return ofApi(source, active, state)
  }

  function ofApi (source: TokenSource, active: ActiveSession, state: SessionState): Access | Promise<Access> {
    const grant = apiTokens.of(source, { active, state })
    if (!(grant instanceof Promise)) return accessOf(grant)
    return grant.then(accessOf, async (error: unknown) => { throw await withNewest(error, active, state) })
  }

  /** A refresh token may have been replaced on the way: the answer of a call that fails brings it, too. */
  async function withNewest (
    error: unknown, active: ActiveSession, state: SessionState
  ): Promise<BullaError> {
    const fault = toBullaError(error)
    // What ends or marks the session has the last word.
    if (fault.setCookies.length > 0) return fault
    return fault.withCookies((await renewal.newest(state, active)).setCookies)
  }

  /** Without a usable session the token is left out. */
  function optional (source: TokenSource | null, state: SessionState): Access | Promise<Access> {
    const without = (error: unknown): Access => {
      const fault = toBullaError(error)
      if (fault.statusCode !== 401) throw fault
      return { ...NOBODY, setCookies: fault.setCookies }
    }
    try {
      const access = ofPerson(source, state)
      return access instanceof Promise ? access.catch(without) : access
    } catch (error) {
      return without(error)
    }
  }

  async function again (
    policy: AccessPolicy, request: FastifyRequest, access: Access
  ): Promise<Access | null> {
    const { session, accessToken } = access
    if (policy.token === 'none' || accessToken === null) return null
    if (policy.source !== null) {
      const isForgotten = apiTokens.forget(policy.source, session === null ? null : session.sid, accessToken)
      return isForgotten ? await another(policy, request, access) : null
    }
    const state = judge(open(request))
    if (session === null || state.session === null) return null
    // What was renewed for this very call is not renewed again.
    if (!session.hasRefreshToken || session.generation !== state.session.generation) return null
    // An API that refuses whatever it gets must not cost a refresh for each call.
    if (session.generation > 0 && unixSeconds(clock) - session.accessTokenIssuedAt < FRESH) return null
    return await renewal.renew(state)
  }

  /** An API's refusal is told as it is if nothing better is to be had, with what became of the session. */
  async function another (policy: AccessPolicy, request: FastifyRequest, access: Access): Promise<Access> {
    const { session, accessToken } = access
    try {
      const other = await of(policy, request)
      if (other.accessToken !== null) return other
      return { session, accessToken, setCookies: other.setCookies }
    } catch (error) {
      if (!(error instanceof BullaError)) throw error
      return { session, accessToken, setCookies: [...access.setCookies, ...error.setCookies] }
    }
  }

  return { open, of, again }
}

function granted (grant: ApiGrant | Promise<ApiGrant>): Access | Promise<Access> {
  return grant instanceof Promise ? grant.then(accessOf) : accessOf(grant)
}

function accessOf ({ accessToken, active }: ApiGrant): Access {
  return {
    session: active === null ? null : active.session,
    accessToken,
    get setCookies () { return active === null ? NOBODY.setCookies : active.setCookies }
  }
}
