// Gives the app its routes and what forwards to their upstreams, for calls and aggregates.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config, RouteConfig } from '../config/schema.ts'
import { trustedCertificates } from '../lib/certificates.ts'
import { isLoopback } from '../lib/loopback.ts'
import { createForwarder, type Forwarder } from '../proxy/forward.ts'
import type { PoolLimits } from '../proxy/pools.ts'
import { createRoutes, type Route } from '../proxy/routes.ts'
import { resourcesOf, tokenSourceOf } from './api-tokens.ts'

/** What the plugin is handed. */
export interface ForwardingPluginOptions {
  readonly config: Config
  /** Limits of the upstream pools, for tests. */
  readonly poolLimits?: PoolLimits | undefined
  /** Milliseconds that a request's body may stall, for tests. */
  readonly bodyStall?: number | undefined
}

/** The routes, and what forwards. */
export interface Forwarding {
  /** Longest prefix first. */
  readonly routes: readonly Route[]
  readonly forwarder: Forwarder
  /** Further CA certificates, PEM. */
  readonly ca: string[] | undefined
}

declare module 'fastify' {
  interface FastifyInstance { forwarding: Forwarding }
}

export const forwardingPlugin = fp(async function forwardingPlugin (
  app: FastifyInstance, options: ForwardingPluginOptions
) {
  const { config, poolLimits, bodyStall } = options
  const routes = createRoutes(config)
  const ca = trustedCertificates(config.upstream_ca)
  const forwarder = createForwarder({
    ca,
    live: app.liveStreams,
    loginUrl: `${config.base_path}/login`,
    ...(poolLimits === undefined ? {} : { limits: poolLimits }),
    ...(bodyStall === undefined ? {} : { stall: bodyStall })
  })
  app.decorate('forwarding', { routes, forwarder, ca })
  app.addHook('onClose', async () => { await forwarder.close() })
  warnOfPlainUpstreams(app, routes)
  warnOfWideTokens(app, config)
}, { name: 'bulla-forwarding', fastify: '5.x', dependencies: ['bulla-live-streams', 'bulla-oidc'] })

function warnOfPlainUpstreams (app: FastifyInstance, routes: readonly Route[]): void {
  for (const route of routes) {
    const { protocol, hostname, origin } = new URL(route.origin)
    if (protocol !== 'http:' || isLoopback(hostname)) continue
    app.log.warn({ route: route.prefix, upstream: origin }, 'tokens travel to this upstream without TLS')
  }
}

/** PRX-32: where a login asks for several APIs, its own token may be good for all of them. */
function warnOfWideTokens (app: FastifyInstance, config: Config): void {
  if (resourcesOf(config.routes).length === 0 || app.oidc.ownTarget !== undefined) return
  const isOwn = ({ token }: RouteConfig): boolean => token === 'user' || token === 'optional'
  const bare = config.routes.filter((route) => isOwn(route) && tokenSourceOf(route) === null)
  if (bare.length === 0) return
  app.log.warn({ routes: bare.map(({ prefix }) => prefix) },
    'these routes carry the token of the login, which may be good for the resources of the others too: ' +
    'give them a resource, or set authorization_params.resource')
}
