// The route table: settings become routes that are ready to use; the longest prefix wins.
import type { RouteConfig } from '../config/schema.ts'
import type { Target } from './paths.ts'

/** A route as the request path uses it. */
export interface Route {
  readonly prefix: string
  readonly config: RouteConfig
  /** Scheme, host and port of the upstream. */
  readonly origin: string
  /** The upstream's own `Host`. */
  readonly host: string
  /** What stands in front of the rest of the path: the upstream's path and the rewritten prefix. */
  readonly base: string
  readonly methods: ReadonlySet<string>
}

/**
 * Prepares the routes, longest prefix first.
 *
 * @param configs the settings, checked
 */
export function createRoutes (configs: readonly RouteConfig[]): readonly Route[] {
  return configs.map((config) => {
    const upstream = new URL(config.upstream)
    return {
      prefix: config.prefix,
      config,
      origin: upstream.origin,
      host: upstream.host,
      base: upstream.pathname.replace(/\/$/, '') + (config.rewrite_prefix ?? config.prefix).replace(/\/$/, ''),
      methods: new Set(config.methods)
    }
  }).sort((a, b) => b.prefix.length - a.prefix.length)
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
