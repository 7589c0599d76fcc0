// The headers of a forwarded answer: what passes, what is dropped, and what keeps it out of other hands.
import { DROPPED_RESPONSE, DROPPED_RESPONSE_PREFIXES, HOP_BY_HOP } from './header-lists.ts'
import type { Route } from './routes.ts'

/** Content types that a browser would run as a document. */
const ACTIVE_CONTENT = /^\s*(?:text\/html|application\/xhtml\+xml|image\/svg\+xml|text\/xml|application\/xml|text\/xsl|[a-z]+\/[\w.-]+\+xml)/i

/**
 * Builds the headers of the answer, as a flat list of names and values.
 *
 * @param raw the upstream's headers, flat
 * @param route where it came from
 * @param publicOrigin where redirects may lead
 * @param setCookies values that Bulla sets
 */
export function responseHeaders (
  raw: readonly string[], route: Route, publicOrigin: string, setCookies: readonly string[]
): string[] {
  const headers: string[] = []
  const named = connectionNames(raw)
  let cacheControl: string | null = null
  let isActive = false
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase()
    const value = raw[i + 1] ?? ''
    if (isDropped(name, route) || named?.has(name) === true) continue
    if (name === 'cache-control') {
      cacheControl = cacheControl === null ? value : `${cacheControl}, ${value}`
    } else if (name === 'location') {
      const location = publicLocation(value, route, publicOrigin)
      if (location !== null) headers.push(name, location)
    } else if (name !== 'x-content-type-options') {
      if (name === 'content-type') isActive = ACTIVE_CONTENT.test(value)
      headers.push(name, value)
    }
  }
  headers.push('cache-control', setCookies.length > 0 ? 'private, no-store' : caching(cacheControl, route.config.cache))
  headers.push('x-content-type-options', 'nosniff', 'cross-origin-resource-policy', 'same-origin', 'vary', 'Cookie')
  if (isActive && !route.config.html) headers.push('content-security-policy', "sandbox; default-src 'none'")
  for (const cookie of setCookies) headers.push('set-cookie', cookie)
  const { set } = route.config.response_headers
  for (const name in set) headers.push(name, set[name] ?? '')
  return headers
}

function isDropped (name: string, route: Route): boolean {
  if (HOP_BY_HOP.has(name) || DROPPED_RESPONSE.has(name)) return true
  for (const prefix of DROPPED_RESPONSE_PREFIXES) if (name.startsWith(prefix)) return true
  const { set, remove } = route.config.response_headers
  return Object.hasOwn(set, name) || remove.includes(name)
}

/** CAC-02: nothing that came with a token is kept by a shared cache. */
function caching (upstream: string | null, policy: 'no-store' | 'private' | 'public'): string {
  if (upstream === null) return policy === 'no-store' ? 'no-store' : 'private'
  if (policy === 'public') return upstream
  const kept = upstream.split(',').map((directive) => directive.trim())
    .filter((directive) => directive !== '' && !/^(?:public|s-maxage|private)\b/i.test(directive))
  return ['private', ...kept].join(', ')
}

/** PRX-16: a redirect within the upstream becomes one within the route; no internal host gets out. */
function publicLocation (value: string, route: Route, publicOrigin: string): string | null {
  const base = `${route.origin}${route.base}/`
  const url = URL.canParse(value, base) ? new URL(value, base) : null
  if (url === null) return null
  if (url.origin === publicOrigin) return url.href
  if (url.origin !== route.origin) return /^https?:$/.test(url.protocol) && isPublicHost(url.hostname) ? url.href : null
  if (url.pathname !== route.base && !url.pathname.startsWith(`${route.base}/`)) return null
  return `${route.prefix}${url.pathname.slice(route.base.length)}${url.search}${url.hash}`
}

function isPublicHost (hostname: string): boolean {
  return hostname.includes('.') && !/(?:^|\.)(?:internal|local|localhost|svc|cluster\.local|lan|home\.arpa)$/.test(hostname) &&
    !/^[\d.]+$/.test(hostname)
}

function connectionNames (raw: readonly string[]): Set<string> | null {
  let names: Set<string> | null = null
  for (let i = 0; i < raw.length; i += 2) {
    if ((raw[i] ?? '').toLowerCase() !== 'connection') continue
    names ??= new Set()
    for (const name of (raw[i + 1] ?? '').toLowerCase().split(',')) names.add(name.trim())
  }
  return names
}
