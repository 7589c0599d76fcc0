// The headers of a forwarded request: what passes, what is dropped, what Bulla sets.
import { connectionNames, DROPPED_REQUEST, DROPPED_REQUEST_PREFIXES, HOP_BY_HOP } from './header-lists.ts'

/** What a route does to the headers of its requests. */
export interface RequestHeaderRules {
  /** The public origin, from which `X-Forwarded-Host` and `-Proto` are built. */
  readonly publicUrl: string
  /** The CSRF header's name. */
  readonly csrfHeader: string
  readonly set: Readonly<Record<string, string>>
  readonly remove: readonly string[]
  /** Whether a `Via` is added. */
  readonly via: boolean
}

/** What differs from request to request. */
export interface RequestFacts {
  readonly accessToken: string | null
  /** The peer, or the chain that trusted proxies vouch for. */
  readonly forwardedFor: string
  readonly requestId: string
}

/** Builds the headers of a route's requests. */
export interface RequestHeaders {
  /**
   * @param raw the browser's headers, flat
   * @param connection its `Connection` header
   * @param hasBody whether a body follows, whose `Content-Length` then passes
   * @param facts what Bulla knows beyond
   * @returns names and values, flat; without `Host`, which undici sets to the upstream's
   */
  build (
    raw: readonly string[], connection: string | undefined, hasBody: boolean, facts: RequestFacts
  ): string[]
}

/** The most spellings of header names that are remembered for a route. */
const MAX_NAMES = 512

/** What stands in the memory of names for those that are dropped. */
const DROPPED = ''

/**
 * Prepares a route's request headers.
 *
 * @param rules of the route
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6
 */
export function createRequestHeaders (rules: RequestHeaderRules): RequestHeaders {
  const set = Object.entries(rules.set).map(([name, value]) => [name.toLowerCase(), value] as const)
  const dropped = new Set([
    'x-request-id', rules.csrfHeader.toLowerCase(), ...rules.remove.map((name) => normal(name.toLowerCase())),
    ...set.map(([name]) => normal(name))
  ])
  const { host, protocol } = new URL(rules.publicUrl)
  const fixed = ['x-forwarded-host', host, 'x-forwarded-proto', protocol.slice(0, -1), ...set.flat()]
  const names = new Map<string, string>()

  /** S10: a name that differs in `_` and `-` only is the same name to many servers. */
  function classify (rawName: string): string {
    const name = rawName.toLowerCase()
    const passes = !isDropped(normal(name)) && !dropped.has(normal(name))
    const result = passes ? name : DROPPED
    if (names.size < MAX_NAMES && rawName.length <= 64) names.set(rawName, result)
    return result
  }

  function build (
    raw: readonly string[], connection: string | undefined, hasBody: boolean, facts: RequestFacts
  ): string[] {
    const headers: string[] = []
    const named = connectionNames(connection)
    for (let i = 0; i < raw.length; i += 2) {
      const rawName = raw[i] as string
      const name = names.get(rawName) ?? classify(rawName)
      if (name === DROPPED || named?.has(name) === true) continue
      headers.push(name, raw[i + 1] as string)
    }
    if (hasBody) pushContentLength(headers, raw)
    if (rules.via) headers.push('via', viaOf(raw))
    for (let i = 0; i < fixed.length; i++) headers.push(fixed[i] as string)
    headers.push('x-forwarded-for', facts.forwardedFor, 'x-request-id', facts.requestId)
    // S17: last, so that nothing the browser named can take it away.
    if (facts.accessToken !== null) headers.push('authorization', `Bearer ${facts.accessToken}`)
    return headers
  }

  return { build }
}

function normal (name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name
}

function isDropped (name: string): boolean {
  if (HOP_BY_HOP.has(name) || DROPPED_REQUEST.has(name)) return true
  for (const prefix of DROPPED_REQUEST_PREFIXES) if (name.startsWith(prefix)) return true
  return false
}

function pushContentLength (headers: string[], raw: readonly string[]): void {
  const length = valueOf(raw, 'content-length')
  if (length !== undefined) headers.push('content-length', length)
}

/** @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3 */
function viaOf (raw: readonly string[]): string {
  const before = valueOf(raw, 'via')
  return before === undefined ? '1.1 bulla' : `${before}, 1.1 bulla`
}

function valueOf (raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (raw[i]?.toLowerCase() === name) return raw[i + 1]
  return undefined
}
