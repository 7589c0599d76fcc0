// One call of a proxied route: finds its session, starts it, and answers for it when it fails.
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { accessPolicyOf, type Access, type AccessControl, type AccessPolicy } from '../plugins/access.ts'
import { noteForwarding, toBullaError } from '../plugins/errors.ts'
import type { ForwardCall, Forwarder, Renewed } from '../proxy/forward.ts'
import { readTarget, type Target } from '../proxy/paths.ts'
import type { RequestFacts } from '../proxy/request-headers.ts'
import { matchRoute, type Route } from '../proxy/routes.ts'
import { corsHeaders } from '../security/cors.ts'
import { isNavigation } from '../security/navigation.ts'
import type { SessionState } from '../session/store.ts'
import { forwardedFor } from './forwarded-for.ts'

/** What all calls share. */
export interface ApiContext {
  readonly config: Config
  readonly routes: readonly Route[]
  readonly forwarder: Forwarder
  readonly access: AccessControl
  readonly log: FastifyBaseLogger
  /** The calls of this turn of the event loop whose sessions are still to be opened. */
  readonly unopened: FastifyRequest[]
}

/**
 * The handler of a route. Calls that come within one turn of the event loop are handled in a row at its end,
 * after all of their sessions were opened in a row: code and memory that one needs are still at hand for the
 * next (bench/README.md). Each is answered by itself, or by `reply.send` of an error.
 *
 * @param route the route
 * @param context what all calls share
 */
export function createApiHandler (
  route: Route, context: ApiContext
): (request: FastifyRequest, reply: FastifyReply) => void {
  const { config } = context
  const policy = accessPolicyOf(route.config)
  const allowed = new Set(config.allowed_origins)

  function arrive (request: FastifyRequest, reply: FastifyReply): void {
    if (context.unopened.length > 0) openSessions(context)
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
    const opened = request.apiSession
    request.apiSession = null // an event stream lives for hours, its request with it
    let access: Access | Promise<Access>
    try {
      access = context.access.of(policy, request, opened)
    } catch (error) {
      return refuse(request, reply, target, error)
    }
    if (!(access instanceof Promise)) return start(request, reply, target, cors, access)
    access.then(
      (settled) => { start(request, reply, target, cors, settled) },
      (error: unknown) => { refuse(request, reply, target, error) }
    ).catch((error: unknown) => { reply.send(toBullaError(error)) })
  }

  function start (
    request: FastifyRequest, reply: FastifyReply, target: Target, cors: ForwardCall['cors'], access: Access
  ): void {
    request.openedSession = access.session
    // For who left while the session was refreshed, no call is made.
    if (hasLeft(request, reply)) return
    try {
      context.forwarder.forward(new ApiCall(context, route, policy, request, reply, target, cors, access))
    } catch (error) {
      reply.send(toBullaError(error).withCookies(access.setCookies))
    }
  }

  /** Without a usable session a navigation goes to login and comes back. */
  function refuse (request: FastifyRequest, reply: FastifyReply, target: Target, error: unknown): void {
    const fault = toBullaError(error)
    if (fault.statusCode === 401 && request.method === 'GET' && isNavigation(request.headers)) {
      const returnTo = encodeURIComponent(target.path + target.query)
      if (fault.setCookies.length > 0) reply.header('set-cookie', fault.setCookies)
      reply.header('cache-control', 'private, no-store').redirect(`${config.base_path}/login?return_to=${returnTo}`, 302)
    } else {
      reply.send(fault)
    }
  }

  const isPersonal = policy.token === 'user' || policy.token === 'optional'
  return (request, reply) => {
    if (isPersonal) context.unopened.push(request)
    setImmediate(arrive, request, reply)
  }
}

/** What cannot be opened is left: its own call tries again, and answers for it. */
function openSessions ({ access, unopened }: ApiContext): void {
  for (const request of unopened) {
    try {
      request.apiSession = access.open(request)
    } catch {
      request.apiSession = null
    }
  }
  unopened.length = 0
}

/** A response in line behind others does not know: its connection does. */
function hasLeft (request: FastifyRequest, reply: FastifyReply): boolean {
  return reply.raw.destroyed || request.raw.socket.destroyed
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The target of a call, read once; `null` on all other routes. */
    apiTarget: Target | null
    /** What a call's cookies hold, from when it was opened with others of its turn until it is handled. */
    apiSession: SessionState | null
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
  readonly session: Access['session']
  readonly #context: ApiContext
  readonly #policy: AccessPolicy
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #access: Access
  readonly #startedAt = performance.now()

  constructor (
    context: ApiContext, route: Route, policy: AccessPolicy, request: FastifyRequest, reply: FastifyReply,
    target: Target, cors: ForwardCall['cors'], access: Access
  ) {
    this.#context = context
    this.#policy = policy
    this.#request = request
    this.#reply = reply
    this.#access = access
    this.request = request.raw
    this.response = reply.raw
    this.route = route
    this.target = target
    this.cors = cors
    this.session = access.session
    this.facts = {
      accessToken: access.accessToken,
      forwardedFor: forwardedFor(request),
      requestId: request.id
    }
  }

  /** Read when the answer starts: a slow one brings the newest session, not the one that it set out with. */
  get setCookies (): readonly string[] { return this.#access.setCookies }

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
    return await this.#context.access.again(this.#policy, this.#request, this.#access)
  }

  #duration (): number {
    return Math.round(performance.now() - this.#startedAt)
  }
}
