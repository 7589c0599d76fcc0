// The route table: settings become routes that are ready to use; the longest prefix wins.
import type { Config, RouteConfig } from '../config/schema.ts'
import type { Target } from './paths.ts'
import { createRequestHeaders, type RequestHeaders } from './request-headers.ts'
import { createResponseHeaders, type ResponseHeaders } from './response-headers.ts'

/** A route as the request path uses it. */
export interface Route {
  readonly prefix: string
  readonly config: RouteConfig
  /** Scheme, host and port of the upstream. */
  readonly origin: string
  /** What stands in front of the rest of the path: the upstream's path and the rewritten prefix. */
  readonly base: string
  readonly requestHeaders: RequestHeaders
  readonly responseHeaders: ResponseHeaders
  /** Milliseconds to the first byte of the answer. */
  readonly timeout: number
}

/**
 * Prepares the routes, longest prefix first.
 *
 * @param config the settings, checked
 */
export function createRoutes (config: Config): readonly Route[] {
  const internalHosts = new Set(config.routes.map((route) => new URL(route.upstream).hostname))
  return config.routes.map((route) => createRoute(route, config, internalHosts))
    .sort((a, b) => b.prefix.length - a.prefix.length)
}

function createRoute (route: RouteConfig, config: Config, internalHosts: ReadonlySet<string>): Route {
  const upstream = new URL(route.upstream)
  const base = upstream.pathname.replace(/\/$/, '') + (route.rewrite_prefix ?? route.prefix).replace(/\/$/, '')
  return {
    prefix: route.prefix,
    config: route,
    origin: upstream.origin,
    base,
    timeout: route.timeout * 1000,
    requestHeaders: createRequestHeaders({
      publicUrl: config.public_url,
      csrfHeader: config.csrf.header,
      set: route.request_headers.set,
      remove: route.request_headers.remove,
      via: route.via
    }),
    responseHeaders: createResponseHeaders({
      location: {
        origin: upstream.origin, base, prefix: route.prefix, publicOrigin: config.public_url, internalHosts
      },
      cache: route.cache,
      html: route.html,
      set: route.response_headers.set,
      remove: route.response_headers.remove
    })
  }
}

/**
 * The route of a path.
 *
 * @param routes longest prefix first
 * @param path as {@link readTarget} gives it
 */
export function matchRoute (routes: readonly Route[], path: string): Route | null {
  for (const route of routes) {
    if (path.startsWith(route.prefix) && (path.length === route.prefix.length || path[route.prefix.length] === '/')) return route
  }
  return null
}

/**
 * What is asked of the upstream.
 *
 * @param route the target's route
 * @param target the request target
 */
export function upstreamPath (route: Route, target: Target): string {
  const path = route.base + target.path.slice(route.prefix.length)
  return (path === '' ? '/' : path) + target.query
}
