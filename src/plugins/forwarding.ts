// Gives the app its routes and what forwards to their upstreams, for calls and aggregates.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/schema.ts'
import { trustedCertificates } from '../lib/certificates.ts'
import { isLoopback } from '../lib/loopback.ts'
import { createForwarder, type Forwarder } from '../proxy/forward.ts'
import type { PoolLimits } from '../proxy/pools.ts'
import { createRoutes, type Route } from '../proxy/routes.ts'

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
}, { name: 'bulla-forwarding', fastify: '5.x', dependencies: ['bulla-live-streams'] })

function warnOfPlainUpstreams (app: FastifyInstance, routes: readonly Route[]): void {
  for (const route of routes) {
    const { protocol, hostname, origin } = new URL(route.origin)
    if (protocol !== 'http:' || isLoopback(hostname)) continue
    app.log.warn({ route: route.prefix, upstream: origin }, 'tokens travel to this upstream without TLS')
  }
}
