// Puts the parts together: the public and the admin listener, plugins and routes in their order; no logic.
import Fastify, { LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { ADMIN_OFF, type Config } from './config/schema.ts'
import { systemClock, type Clock } from './lib/clock.ts'
import { pathOnly } from './lib/redact.ts'
import type { Fetch } from './oidc/http.ts'
import { errorsPlugin } from './plugins/errors.ts'
import { createGate } from './plugins/gate.ts'
import { oidcPlugin } from './plugins/oidc.ts'
import { revocationPlugin } from './plugins/revocation.ts'
import { sessionPlugin } from './plugins/session.ts'
import { adminRoutes } from './routes/admin.ts'
import { apiRoutes } from './routes/api.ts'
import { backchannelRoutes } from './routes/backchannel.ts'
import { clientRoutes } from './routes/client.ts'
import { healthRoutes } from './routes/health.ts'
import { loginRoutes } from './routes/login.ts'
import { logoutRoutes } from './routes/logout.ts'
import { sessionRoutes } from './routes/session.ts'
import { spaRoutes } from './routes/spa.ts'
import { BullaError } from './lib/errors.ts'
import { ENDPOINT_HEADERS } from './security/response-policy.ts'
import type { RevocationList } from './session/revocation-list.ts'

/** What tests and embedders may put in place of the real thing. */
export interface Dependencies {
  /** Milliseconds since the epoch. Default: the system clock. */
  readonly clock?: Clock
  /** How the authorization server is called. Default: a pool of its own. */
  readonly fetch?: Fetch
  /** Sessions that are over before their time. Default: a list in the memory of this process. */
  readonly revocationList?: RevocationList
  /** Fastify's logger option. Default: pino at `log.level`. */
  readonly logger?: FastifyServerOptions['logger']
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
  await app.register(async (scope) => {
    await scope.register(errorsPlugin, { config })
    await scope.register(async (endpoints) => {
      endpoints.addHook('onRequest', async (_request, reply) => { reply.headers(ENDPOINT_HEADERS) })
      endpoints.setNotFoundHandler(async () => { throw new BullaError('not_found') })
      await endpoints.register(loginRoutes, { config, clock })
      await endpoints.register(sessionRoutes, { config, clock })
      await endpoints.register(logoutRoutes, { config, clock })
      if (config.backchannel_logout) await endpoints.register(backchannelRoutes, { config, clock })
      await endpoints.register(healthRoutes)
      await endpoints.register(clientRoutes)
    }, { prefix: config.base_path })
    await scope.register(apiRoutes, { config })
    if (config.spa === undefined) scope.setNotFoundHandler(async () => { throw new BullaError('not_found') })
    else await scope.register(documentRoutes, { config, folder: config.spa })
  })
}

/** The app itself, behind the gate if there is one. */
async function documentRoutes (scope: FastifyInstance, options: { config: Config, folder: string }): Promise<void> {
  if (options.config.spa_gate) scope.addHook('onRequest', createGate(scope, options.config))
  await scope.register(spaRoutes, { folder: options.folder })
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

function publicOptions (config: Config, deps: Dependencies): FastifyServerOptions {
  return {
    logger: deps.logger ?? {
      level: config.log.level,
      serializers: { req: (request) => ({ method: request.method, path: pathOnly(request.url ?? '') }) }
    },
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    trustProxy: config.trusted_proxies.length > 0 ? [...config.trusted_proxies] : false,
    genReqId: () => crypto.randomUUID(),
    exposeHeadRoutes: false,
    bodyLimit: 64 * 1024,
    connectionTimeout: 0,
    requestTimeout: 0,
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 8192, ignoreTrailingSlash: false }
  }
}
