// What a call may show its API: nothing, the token of its session, or one for this API; decided for calls,
// sockets and aggregates alike.
import type { FastifyRequest } from 'fastify'
import type { RouteConfig } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import type { OpenedSession } from '../session/session.ts'
import type { SessionState } from '../session/store.ts'
import { FRESH, tokenSourceOf, type ApiGrant, type ApiTokens, type TokenSource } from './api-tokens.ts'
import { toBullaError } from './errors.ts'
import type { ActiveSession, Renewal } from './renewal.ts'

/** What a call may show, and whose it is. */
export interface Access {
  /** `null` where the call speaks for nobody. */
  readonly session: OpenedSession | null
  readonly accessToken: string | null
  /** Read it when the answer starts: it brings the newest session that is known by then. */
  readonly setCookies: readonly string[]
}

/** What a route wants; see {@link accessPolicyOf}. */
export interface AccessPolicy { readonly token: RouteConfig['token'], readonly source: TokenSource | null }

/** Decides about access. */
export interface AccessControl {
  /**
   * What a call may show.
   *
   * @throws {BullaError} `login_required`, `session_expired`, `session_stale`, `session_revoked`,
   * `idp_unavailable`, `idp_misconfigured`
   */
  of (policy: AccessPolicy, request: FastifyRequest): Access | Promise<Access>
  /** The same after an API refused the token; `null` if there is no other to be had. */
  again (policy: AccessPolicy, request: FastifyRequest, access: Access): Promise<Access | null>
}

/** What deciding needs. */
export interface AccessOptions {
  readonly read: (request: FastifyRequest) => SessionState
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
  return { token: route.token, source: tokenSourceOf(route) }
}

/**
 * Creates the decisions.
 *
 * @param options what they need
 */
export function createAccess (options: AccessOptions): AccessControl {
  const { read, renewal, apiTokens, clock } = options

  function of (policy: AccessPolicy, request: FastifyRequest): Access | Promise<Access> {
    const { token, source } = policy
    if (token === 'none') return NOBODY
    if (token === 'client') return granted(apiTokens.of(source as TokenSource, null))
    const state = read(request)
    if (token === 'user') return ofPerson(source, state)
    if (state.session === null) return NOBODY
    return optional(source, state)
  }

  function ofPerson (source: TokenSource | null, state: SessionState): Access | Promise<Access> {
    const active = renewal.activate(state)
    if (source === null) return active
    if (active instanceof Promise) {
      return active.then(async (settled) => await granted(apiTokens.of(source, { active: settled, state })))
    }
    return granted(apiTokens.of(source, { active, state }))
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
    const { token, source } = policy
    if (token === 'client') return await refetched(policy, request, null)
    const state = read(request)
    const { session } = access
    if (session === null || state.session === null) return null
    if (source !== null) return await refetched(policy, request, { active: access as ActiveSession, state })
    // What was renewed for this very call is not renewed again.
    if (!session.hasRefreshToken || session.generation !== state.session.generation) return null
    // An API that refuses whatever it gets must not cost a refresh for each call.
    if (session.generation > 0 && unixSeconds(clock) - session.accessTokenIssuedAt < FRESH) return null
    return await renewal.renew(state)
  }

  /** An API's refusal is told as it is if nothing better is to be had. */
  async function refetched (
    policy: AccessPolicy, request: FastifyRequest, bearer: Parameters<ApiTokens['forget']>[1]
  ): Promise<Access | null> {
    if (!apiTokens.forget(policy.source as TokenSource, bearer)) return null
    try {
      return await of(policy, request)
    } catch {
      return null
    }
  }

  return { of, again }
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
