// Upgrades: the guard and the session decide, @fastify/http-proxy carries the messages.
import type { IncomingMessage } from 'node:http'
import httpProxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ClientOptions, ServerOptions, WebSocket, WebSocketServer } from 'ws'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import { accessPolicyOf, type AccessPolicy } from '../plugins/access.ts'
import { createSocketGuard } from '../plugins/guard.ts'
import { forwardedFor } from './forwarded-for.ts'
import type { LiveStreams } from '../proxy/live.ts'
import { readTarget } from '../proxy/paths.ts'
import { matchRoute, type Route } from '../proxy/routes.ts'
import {
  browserSocketClass, handshakeCookies, handshakeHeaders, holdBack, join, noteHandshake, takeHandshakeToken
} from '../proxy/upgrade.ts'

/** What the routes are handed. */
export interface SocketRoutesOptions {
  readonly config: Config
  readonly routes: readonly Route[]
  readonly live: LiveStreams
  /** Further CA certificates, PEM. */
  readonly ca?: string[] | undefined
}

/** The constraint by which upgrades find routes of their own. */
const UPGRADE = 'bullaUpgrade'

/**
 * Teaches the router to tell upgrades from calls.
 *
 * @param app before its routes are registered
 */
export function addUpgradeConstraint (app: FastifyInstance): void {
  if (app.hasConstraintStrategy(UPGRADE)) return
  app.addConstraintStrategy({
    name: UPGRADE,
    storage: () => {
      const handlers = new Map<unknown, never>()
      return {
        get: (key) => handlers.get(key) ?? null,
        set: (key, store) => { handlers.set(key, store as never) }
      }
    },
    // Set by Node when the socket was handed to the upgrade listener.
    deriveConstraint: (request: IncomingMessage) => (request as IncomingMessage & { upgrade?: boolean }).upgrade === true ? 'yes' : undefined,
    validate: () => true
  })
}

/**
 * Registers the upgrades of every route that has `websocket: true`.
 *
 * @param app the scope of the routes
 * @param options routes and what they need
 */
export async function socketRoutes (app: FastifyInstance, options: SocketRoutesOptions): Promise<void> {
  for (const route of options.routes) {
    if (!route.config.websocket) continue
    await app.register(async (scope) => {
      scope.addHook('onRequest', createSocketGuard(options.config))
      await scope.register(httpProxy, proxyOptions(scope, route, options))
    })
  }
}

type ProxyOptions = FastifyHttpProxyOptions & { websocket: true }

function proxyOptions (app: FastifyInstance, route: Route, options: SocketRoutesOptions): ProxyOptions {
  const { websocket_max_message: maxPayload } = route.config
  const policy = accessPolicyOf(route.config)
  const servers = new WeakSet<WebSocketServer>()
  return {
    ...socketOptions(options.live, maxPayload),
    upstream: route.origin,
    prefix: route.prefix,
    rewritePrefix: route.base === '' ? '/' : route.base,
    httpMethods: ['GET'],
    constraints: { [UPGRADE]: 'yes' },
    handler: () => { throw new BullaError('bad_request') },
    // This one carries no calls; should it ever, then with certificates verified and nothing repeated.
    retryMethods: [],
    destroyAgent: true,
    undici: { connect: { rejectUnauthorized: true } },
    preHandler: (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => {
      admit(app, options.routes, route, policy, request).then(() => {
        addCookies(servers, (reply as unknown as { wsProxy: { wss: WebSocketServer } }).wsProxy.wss)
        done()
      }, done)
    },
    wsClientOptions: {
      ...clientOptions(options.ca, maxPayload, route.timeout),
      rewriteRequestHeaders: (_headers: unknown, request: FastifyRequest) => upstreamHandshake(route, request)
    } as ClientOptions
  } as unknown as ProxyOptions
}

function upstreamHandshake (route: Route, request: FastifyRequest): Record<string, string> {
  const { raw, headers, id } = request
  const facts = { accessToken: takeHandshakeToken(raw), forwardedFor: forwardedFor(request), requestId: id }
  return handshakeHeaders(route.requestHeaders.build(raw.rawHeaders, headers.connection, false, facts))
}

/**
 * The options of both ends that all sockets share.
 *
 * @param live where open sockets are noted
 * @param maxPayload the most bytes of a message
 */
export function socketOptions (live: LiveStreams, maxPayload: number): SocketOptions {
  return {
    websocket: true,
    wsServerOptions: { maxPayload, WebSocket: browserSocketClass(live) },
    wsHooks: {
      onConnect: (_context, source, target) => { join(source, target) },
      onIncomingMessage: (_context, source, target) => { holdBack(source, target) },
      onOutgoingMessage: (_context, source, target) => { holdBack(target, source) }
    }
  }
}

type Pair = (context: unknown, source: WebSocket, target: WebSocket) => void

/** What http-proxy takes for sockets. */
export interface SocketOptions {
  readonly websocket: true
  readonly wsServerOptions: ServerOptions
  readonly wsHooks: Readonly<Record<'onConnect' | 'onIncomingMessage' | 'onOutgoingMessage', Pair>>
}

/**
 * How the upstream's sockets are opened: certificates verified, in bounded time, no redirects.
 *
 * @param ca further CA certificates
 * @param maxPayload the most bytes of a message
 * @param timeout milliseconds for the handshake
 */
export function clientOptions (ca: string[] | undefined, maxPayload: number, timeout: number): ClientOptions {
  return {
    maxPayload,
    handshakeTimeout: timeout === 0 ? 30_000 : timeout,
    perMessageDeflate: false,
    followRedirects: false,
    ...(ca === undefined ? {} : { ca }),
    queryString: (_search: string, url: string) => url.includes('?') ? url.slice(url.indexOf('?') + 1) : ''
  } as ClientOptions
}

/** WSS-02: path and session are checked before the upstream hears of it. */
async function admit (
  app: FastifyInstance, routes: readonly Route[], route: Route, policy: AccessPolicy, request: FastifyRequest
): Promise<void> {
  checkHandshake(request)
  const target = readTarget(request.raw.url ?? '', route.config.encoded_slashes)
  if (target === null) throw new BullaError('bad_request', { detail: 'The path is not acceptable.' })
  if (matchRoute(routes, target.path) !== route) throw new BullaError('not_found')
  // PRX-22: what is sent is the path that decided.
  request.raw.url = target.path + target.query
  const access = await app.sessions.access.of(policy, request)
  request.openedSession = access.session
  noteHandshake(request.raw, access)
}

/** What would be refused later is refused before a token is refreshed for it. */
function checkHandshake (request: FastifyRequest): void {
  const { headers } = request
  const isHandshake = headers.upgrade?.toLowerCase() === 'websocket' && headers['sec-websocket-version'] === '13' &&
    /^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')
  if (!isHandshake) throw new BullaError('bad_request', { detail: 'This is no WebSocket handshake.' })
}

/** The 101 carries the cookies of a refresh: the library drops those of the reply. */
function addCookies (servers: WeakSet<WebSocketServer>, server: WebSocketServer): void {
  if (servers.has(server)) return
  servers.add(server)
  server.on('headers', (headers, request) => { headers.push(...handshakeCookies(request)) })
}
