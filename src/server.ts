// Puts the parts together: the public and the admin listener, plugins and routes in their order; no logic.
import type { Server as HttpServer } from 'node:http'
import Fastify, { LogController, type FastifyHttpOptions, type FastifyInstance } from 'fastify'
import { ADMIN_OFF, type Config } from './config/schema.ts'
import { systemClock, type Clock } from './lib/clock.ts'
import { QuietRequest } from './lib/quiet-request.ts'
import { createRequestIds } from './lib/request-id.ts'
import type { Fetch } from './oidc/http.ts'
import { corsPlugin } from './plugins/cors.ts'
import { answerClientError, answerFrameworkError } from './plugins/early-answers.ts'
import { errorsPlugin } from './plugins/errors.ts'
import { forwardingPlugin } from './plugins/forwarding.ts'
import { createGate } from './plugins/gate.ts'
import { limitsPlugin } from './plugins/limits.ts'
import { liveStreamsPlugin } from './plugins/live-streams.ts'
import { useLog, type LogOptions } from './plugins/logging.ts'
import { oidcPlugin } from './plugins/oidc.ts'
import { revocationPlugin } from './plugins/revocation.ts'
import { sessionPlugin } from './plugins/session.ts'
import { holdContinue } from './proxy/expect.ts'
import type { PoolLimits } from './proxy/pools.ts'
import { adminRoutes } from './routes/admin.ts'
import { aggregateRoutes } from './routes/aggregate.ts'
import { apiRoutes } from './routes/api.ts'
import { devServerRoutes } from './routes/dev-server.ts'
import { backchannelRoutes } from './routes/backchannel.ts'
import { clientRoutes } from './routes/client.ts'
import { healthRoutes } from './routes/health.ts'
import { loginRoutes } from './routes/login.ts'
import { logoutRoutes } from './routes/logout.ts'
import { sessionRoutes } from './routes/session.ts'
import { addUpgradeConstraint } from './routes/sockets.ts'
import { spaRoutes } from './routes/spa.ts'
import { BullaError } from './lib/errors.ts'
import { ENDPOINT_HEADERS } from './security/response-policy.ts'
import type { RevocationList } from './session/revocation-list.ts'

/** Bytes of a request's header. */
const MAX_HEADERS = 16 * 1024

/** Milliseconds for a request's header. */
const HEADER_TIME = 10_000

/** What tests and embedders may put in place of the real thing. */
export interface Dependencies {
  /** Milliseconds since the epoch. Default: the system clock. */
  readonly clock?: Clock
  /** How the authorization server is called. Default: a pool of its own. */
  readonly fetch?: Fetch
  /** Sessions that are over before their time. Default: a list in the memory of this process. */
  readonly revocationList?: RevocationList
  /** The options of the log, or `false` for none. Default: pino at `log.level`, to standard output. */
  readonly logger?: LogOptions
  /** Connections to each upstream. Default: `POOL_LIMITS`. */
  readonly poolLimits?: PoolLimits
  /** Milliseconds that a request's body may stall. Default: 30,000. */
  readonly bodyStall?: number
  /** Milliseconds for the header of a request. Default: 10,000. */
  readonly headerTime?: number
}

/** A server that listens when told to. */
export interface Server {
  readonly app: FastifyInstance
  readonly admin: FastifyInstance | null
  /** Binds both listeners. @returns the public listener's own URL */
  listen (): Promise<{ url: string, adminUrl: string | null }>
  /** Stops taking requests, ends those in flight, closes every pool. */
  close (): Promise<void>
}

/**
 * Builds the server.
 *
 * @param config from `loadConfig`
 * @param deps clock, fetch and logger
 */
export async function buildServer (config: Config, deps: Dependencies = {}): Promise<Server> {
  const app = Fastify(publicOptions(config, deps))
  useLog(app, deps.logger ?? { level: config.log.level })
  // A header that is passed over could be a second Host; 16 KiB bound their number.
  app.server.maxHeadersCount = 0
  holdContinue(app.server)
  await registerBulla(app, config, deps)
  const admin = config.admin.port === ADMIN_OFF ? null : await buildAdmin(app, config)
  return {
    app,
    admin,
    listen: async () => {
      const url = await app.listen({ host: config.host, port: config.port })
      const { host, port } = config.admin
      const adminUrl = admin === null ? null : await admin.listen({ host, port })
      return { url, adminUrl }
    },
    close: async () => { await Promise.all([app.close(), admin?.close()]) }
  }
}

/**
 * Registers everything of the public listener on a Fastify instance.
 *
 * @param app whose
 * @param config from `loadConfig`
 * @param deps clock and fetch
 */
export async function registerBulla (
  app: FastifyInstance, config: Config, deps: Dependencies
): Promise<void> {
  const clock = deps.clock ?? systemClock
  await app.register(oidcPlugin, { config, clock, fetch: deps.fetch })
  await app.register(revocationPlugin, { config, clock, list: deps.revocationList })
  await app.register(sessionPlugin, { config, clock })
  await app.register(liveStreamsPlugin, { clock })
  await app.register(forwardingPlugin, { config, poolLimits: deps.poolLimits, bodyStall: deps.bodyStall })
  addUpgradeConstraint(app)
  await app.register(async (scope) => {
    await scope.register(errorsPlugin, { config })
    await scope.register(corsPlugin, { config })
    // The hooks of the others are not for the path of the calls, which asks what it must by itself.
    await scope.register(apiRoutes, { config })
    await scope.register(async (rest) => {
      await rest.register(limitsPlugin, { bodyTime: deps.bodyStall })
      await rest.register(endpoints, { config, clock, prefix: config.base_path })
      if (config.spa === undefined) rest.setNotFoundHandler(async () => { throw new BullaError('not_found') })
      else await rest.register(documentRoutes, { config, spa: config.spa })
    })
  })
}

/** Everything under the base path. */
async function endpoints (scope: FastifyInstance, options: { config: Config, clock: Clock }): Promise<void> {
  const { config, clock } = options
  scope.addHook('onRequest', async (_request, reply) => { reply.headers(ENDPOINT_HEADERS) })
  // A route, not a handler of last resort: the app's own files stand behind everything.
  scope.route({
    method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    url: '/*',
    exposeHeadRoute: false,
    onRequest: async () => { throw new BullaError('not_found') },
    handler: async () => { throw new BullaError('not_found') }
  })
  await scope.register(loginRoutes, { config, clock })
  await scope.register(sessionRoutes, { config, clock })
  await scope.register(logoutRoutes, { config, clock })
  if (config.backchannel_logout) await scope.register(backchannelRoutes, { config, clock })
  await scope.register(aggregateRoutes, { config })
  await scope.register(healthRoutes)
  await scope.register(clientRoutes)
}

/** The app itself, its files or its development server, behind the gate if there is one. */
async function documentRoutes (
  scope: FastifyInstance, options: { config: Config, spa: string }
): Promise<void> {
  const { config, spa } = options
  if (config.spa_gate) scope.addHook('onRequest', createGate(scope, config))
  if (/^https?:/.test(spa)) await scope.register(devServerRoutes, { config, upstream: spa })
  else await scope.register(spaRoutes, { folder: spa, publicUrl: config.public_url })
}

async function buildAdmin (app: FastifyInstance, config: Config): Promise<FastifyInstance> {
  const admin = Fastify({ logger: false })
  await admin.register(adminRoutes, {
    isProviderKnown: () => app.oidc.provider.known !== null,
    kids: () => app.sessions.kids(),
    issuer: config.issuer
  })
  return admin
}

function publicOptions (config: Config, deps: Dependencies): FastifyHttpOptions<HttpServer> {
  return {
    logger: false,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    trustProxy: config.trusted_proxies.length > 0 ? [...config.trusted_proxies] : false,
    genReqId: createRequestIds(),
    exposeHeadRoutes: false,
    bodyLimit: 64 * 1024,
    connectionTimeout: 0,
    // The whole of a request may take as long as an upload takes; its header and each pause may not.
    requestTimeout: 0,
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    http: {
      maxHeaderSize: MAX_HEADERS,
      headersTimeout: deps.headerTime ?? HEADER_TIME,
      connectionsCheckingInterval: Math.min(1_000, deps.headerTime ?? HEADER_TIME),
      requireHostHeader: false,
      IncomingMessage: QuietRequest
    },
    clientErrorHandler: answerClientError,
    frameworkErrors: answerFrameworkError,
    routerOptions: { maxParamLength: 2 * MAX_HEADERS, ignoreTrailingSlash: false }
  }
}
