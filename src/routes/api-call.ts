// One call of a proxied route: finds its session, starts it, and answers for it when it fails.
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { noteForwarding, toBullaError } from '../plugins/errors.ts'
import type { ActiveSession } from '../plugins/renewal.ts'
import type { Sessions } from '../plugins/session.ts'
import type { ForwardCall, Forwarder, Renewed } from '../proxy/forward.ts'
import { readTarget, type Target } from '../proxy/paths.ts'
import type { RequestFacts } from '../proxy/request-headers.ts'
import { matchRoute, type Route } from '../proxy/routes.ts'
import { corsHeaders } from '../security/cors.ts'
import { isNavigation } from '../security/navigation.ts'
import type { OpenedSession } from '../session/session.ts'
import type { SessionState } from '../session/store.ts'
import { forwardedFor } from './forwarded-for.ts'

/** What all calls share. */
export interface ApiContext {
  readonly config: Config
  readonly routes: readonly Route[]
  readonly forwarder: Forwarder
  readonly sessions: Sessions
  readonly clock: Clock
  readonly log: FastifyBaseLogger
}

const NO_COOKIES: readonly string[] = []

/** Seconds for which a refreshed token is not refreshed again because an API refuses it. */
const FRESH = 30

/**
 * The handler of a route. Calls that come within one turn of the event loop are handled in a row at its end:
 * code and memory that one needs are still at hand for the next (bench/README.md). Each is answered by
 * itself, or by `reply.send` of an error.
 *
 * @param route the route
 * @param context what all calls share
 */
export function createApiHandler (
  route: Route, context: ApiContext
): (request: FastifyRequest, reply: FastifyReply) => void {
  const { sessions, config } = context
  const { token } = route.config
  const allowed = new Set(config.allowed_origins)

  function arrive (request: FastifyRequest, reply: FastifyReply): void {
    if (hasLeft(request, reply)) return
    try {
      handle(request, reply)
    } catch (error) {
      reply.send(toBullaError(error))
    }
  }

  function handle (request: FastifyRequest, reply: FastifyReply): void {
    const target = request.apiTarget as Target
    const { origin } = request.headers
    const cors = origin !== undefined && allowed.has(origin) ? corsHeaders(origin) : null
    if (token === 'none') return start(request, reply, target, cors, null, null)
    const state = sessions.read(request)
    if (token === 'optional' && state.session === null) return start(request, reply, target, cors, null, null)
    let active: ActiveSession | Promise<ActiveSession>
    try {
      active = sessions.renewal.activate(state)
    } catch (error) {
      return refuse(request, reply, target, cors, error)
    }
    if (!(active instanceof Promise)) return begin(request, reply, target, cors, state, active)
    active.then(
      (settled) => { begin(request, reply, target, cors, state, settled) },
      (error: unknown) => { refuse(request, reply, target, cors, error) }
    ).catch((error: unknown) => { reply.send(toBullaError(error)) })
  }

  function begin (
    request: FastifyRequest, reply: FastifyReply, target: Target, cors: ForwardCall['cors'], state: SessionState,
    active: ActiveSession
  ): void {
    request.openedSession = active.session
    try {
      start(request, reply, target, cors, state, active)
    } catch (error) {
      reply.send(toBullaError(error).withCookies(active.setCookies))
    }
  }

  function start (
    request: FastifyRequest, reply: FastifyReply, target: Target, cors: ForwardCall['cors'], state: SessionState | null,
    active: Pick<ActiveSession, 'setCookies'> & Partial<ActiveSession> | null
  ): void {
    // For who left while the session was refreshed, no call is made.
    if (hasLeft(request, reply)) return
    context.forwarder.forward(new ApiCall(context, route, request, reply, target, cors, state, active))
  }

  /** Without a usable session: an optional token is left out, a navigation goes to login and comes back. */
  function refuse (
    request: FastifyRequest, reply: FastifyReply, target: Target, cors: ForwardCall['cors'], error: unknown
  ): void {
    const fault = toBullaError(error)
    const isLoginMissing = fault.statusCode === 401
    if (token === 'optional' && isLoginMissing) {
      start(request, reply, target, cors, null, { setCookies: fault.setCookies })
    } else if (isLoginMissing && request.method === 'GET' && isNavigation(request.headers)) {
      const returnTo = encodeURIComponent(target.path + target.query)
      if (fault.setCookies.length > 0) reply.header('set-cookie', fault.setCookies)
      reply.header('cache-control', 'private, no-store').redirect(`${config.base_path}/login?return_to=${returnTo}`, 302)
    } else {
      reply.send(fault)
    }
  }

  return (request, reply) => { setImmediate(arrive, request, reply) }
}

/** A response in line behind others does not know: its connection does. */
function hasLeft (request: FastifyRequest, reply: FastifyReply): boolean {
  return reply.raw.destroyed || request.raw.socket.destroyed
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The target of a call, read once; `null` on all other routes. */
    apiTarget: Target | null
  }
}

/**
 * Reads a call's target (PRX-22: the path that is sent is the one that decided).
 *
 * @param route the route that the router found
 * @param request the call
 * @param routes all routes
 * @throws {BullaError} `bad_request`, `not_found`
 */
export function acceptedTarget (route: Route, request: FastifyRequest, routes: readonly Route[]): Target {
  const target = readTarget(request.raw.url ?? '', route.config.encoded_slashes)
  if (target === null) throw new BullaError('bad_request', { detail: 'The path is not acceptable.' })
  if (matchRoute(routes, target.path) !== route) throw new BullaError('not_found')
  return target
}

class ApiCall implements ForwardCall {
  readonly request
  readonly response
  readonly facts: RequestFacts
  readonly route: Route
  readonly target: Target
  readonly cors: ForwardCall['cors']
  readonly session: OpenedSession | null
  readonly #context: ApiContext
  readonly #state: SessionState | null
  readonly #reply: FastifyReply
  readonly #active: Pick<ActiveSession, 'setCookies'> | null
  readonly #startedAt = performance.now()

  constructor (
    context: ApiContext, route: Route, request: FastifyRequest, reply: FastifyReply, target: Target, cors: ForwardCall['cors'],
    state: SessionState | null, active: Pick<ActiveSession, 'setCookies'> & Partial<ActiveSession> | null
  ) {
    const session = active?.session ?? null
    this.#context = context
    this.#state = state
    this.#reply = reply
    this.request = request.raw
    this.response = reply.raw
    this.route = route
    this.target = target
    this.cors = cors
    this.session = session
    this.#active = active
    this.facts = {
      accessToken: session === null ? null : session.accessToken,
      forwardedFor: forwardedFor(request),
      requestId: request.id
    }
  }

  /** Read when the answer starts: a slow one brings the newest session, not the one that it set out with. */
  get setCookies (): readonly string[] {
    return this.#active === null ? NO_COOKIES : this.#active.setCookies
  }

  failed (error: BullaError): void {
    noteForwarding(this.request, { route: this.route.prefix, duration: this.#duration() })
    this.#reply.send(this.setCookies.length > 0 ? error.withCookies(this.setCookies) : error)
  }

  cut (cause: Error): void {
    this.#context.log.warn({
      request_id: this.facts.requestId,
      method: this.request.method,
      route: this.route.prefix,
      duration_ms: this.#duration(),
      cause: describeError(cause)
    }, 'an answer broke off')
  }

  async renewed (): Promise<Renewed | null> {
    const { session } = this
    if (this.#state === null || session === null || !session.hasRefreshToken) return null
    // What was renewed for this very call is not renewed again.
    if (session !== this.#state.session) return null
    // An API that refuses whatever it gets must not cost a refresh for each call.
    const age = unixSeconds(this.#context.clock) - session.accessTokenIssuedAt
    if (session.generation > 0 && age < FRESH) return null
    const active = await this.#context.sessions.renewal.renew(this.#state)
    return { accessToken: active.session.accessToken, setCookies: active.setCookies }
  }

  #duration (): number {
    return Math.round(performance.now() - this.#startedAt)
  }
}
