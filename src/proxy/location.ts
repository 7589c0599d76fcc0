// Redirects of an upstream: made into ones that the browser can follow, or dropped; no internal host
// gets out.

/** What a redirect is read against. */
export interface LocationRules {
  /** Scheme, host and port of the upstream. */
  readonly origin: string
  /** The path under which the route's upstream lives. */
  readonly base: string
  /** The path under which the browser calls. */
  readonly prefix: string
  readonly publicOrigin: string
  /** The hosts of all upstreams. */
  readonly internalHosts: ReadonlySet<string>
}

const PRIVATE_NAME = /(?:^|\.)(?:internal|intranet|local|localhost|localdomain|private|corp|svc|consul|test|invalid|lan|home|home\.arpa)$/

/**
 * The `Location` that the browser gets (PRX-16).
 *
 * @param value the upstream's
 * @param path what was asked of the upstream
 * @param rules of the route
 * @returns a path of the route, or an address on the public internet; `null` for everything else
 */
export function publicLocation (value: string, path: string, rules: LocationRules): string | null {
  const requested = `${rules.origin}${path}`
  if (!URL.canParse(value, requested)) return null
  const url = new URL(value, requested)
  if (url.origin === rules.publicOrigin) return url.href
  if (url.origin !== rules.origin) return isPublic(url, rules) ? url.href : null
  if (url.pathname !== rules.base && !url.pathname.startsWith(`${rules.base}/`)) return null
  return `${rules.prefix}${url.pathname.slice(rules.base.length)}${url.search}${url.hash}`
}

function isPublic (url: URL, rules: LocationRules): boolean {
  const { hostname } = url
  return /^https?:$/.test(url.protocol) && url.username === '' && !rules.internalHosts.has(hostname) &&
    hostname.includes('.') && !hostname.startsWith('[') && !/^[\d.]+$/.test(hostname) && !PRIVATE_NAME.test(hostname)
}
