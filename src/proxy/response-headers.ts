// The headers of a forwarded answer: what passes, what is dropped, and what keeps it out of other hands.
import { cacheControl, type CachePolicy } from './caching.ts'
import { connectionNames, DROPPED_RESPONSE, DROPPED_RESPONSE_PREFIXES, HOP_BY_HOP } from './header-lists.ts'
import { publicLocation, type LocationRules } from './location.ts'

/** What a route does to the headers of its answers. */
export interface ResponseHeaderRules {
  readonly location: LocationRules
  readonly cache: CachePolicy
  /** Whether HTML, XML and SVG may act as documents of the app's origin. */
  readonly html: boolean
  readonly set: Readonly<Record<string, string>>
  readonly remove: readonly string[]
}

/** The head of an answer, ready to be written. */
export interface AnswerHead {
  /** Names and values, flat; `set-cookie` comes once, with all its values. */
  readonly headers: Array<string | string[]>
  /** Bytes of the body, or -1 if it has no declared length. */
  readonly contentLength: number
  /** Whether this is a stream of server-sent events. */
  readonly isEventStream: boolean
}

/** Builds the heads of a route's answers. */
export interface ResponseHeaders {
  /**
   * @param raw the upstream's headers, flat
   * @param status of the answer
   * @param path what was asked of the upstream
   * @param setCookies values that Bulla sets
   * @param cors headers for a listed origin, or `null`
   */
  build (
    raw: readonly Buffer[], status: number, path: string, setCookies: readonly string[],
    cors: Readonly<Record<string, string>> | null
  ): AnswerHead
}

/** Content types that a browser would run as a document. */
const ACTIVE_CONTENT =
  /(?:^|,)\s*(?:text\/(?:html|xml|xsl)|application\/xml|multipart\/x-mixed-replace|[^\s,;/]+\/[^\s,;/]+\+xml)/i

const EVENT_STREAM = /^\s*text\/event-stream\s*(?:;|$)/i

/** What every forwarded answer carries. */
const FIXED = ['x-content-type-options', 'nosniff', 'cross-origin-resource-policy', 'same-origin']

/** What Bulla itself decides by. */
const VARY = 'Cookie, Origin, Sec-Fetch-Site'

const MAX_NAMES = 512
const DROPPED = ''

/**
 * Prepares a route's response headers.
 *
 * @param rules of the route
 */
export function createResponseHeaders (rules: ResponseHeaderRules): ResponseHeaders {
  const set = Object.entries(rules.set).map(([name, value]) => [name.toLowerCase(), value] as const)
  const dropped = new Set([
    'x-content-type-options', ...rules.remove.map((name) => name.toLowerCase()), ...set.map(([name]) => name)
  ])
  const ownCaching = set.find(([name]) => name === 'cache-control')?.[1]
  const fixed = [...FIXED, ...set.filter(([name]) => name !== 'cache-control').flat()]
  const names = new Map<string, string>()

  function classify (rawName: string): string {
    const name = rawName.toLowerCase()
    const result = isDropped(name) || dropped.has(name) ? DROPPED : name
    if (names.size < MAX_NAMES && rawName.length <= 64) names.set(rawName, result)
    return result
  }

  function build (
    raw: readonly Buffer[], status: number, path: string, setCookies: readonly string[],
    cors: Readonly<Record<string, string>> | null
  ): AnswerHead {
    const headers: AnswerHead['headers'] = []
    const named = connectionNames(headerOf(raw, 'connection'))
    let caching: string | null = null
    let vary = VARY
    let contentType = ''
    let contentLength = -1
    let hasExpires = false
    for (let i = 0; i < raw.length; i += 2) {
      const rawName = latin1(raw[i])
      const name = names.get(rawName) ?? classify(rawName)
      if (name === DROPPED || named?.has(name) === true) continue
      let value = latin1(raw[i + 1])
      if (name === 'cache-control') {
        caching = caching === null ? value : `${caching}, ${value}`
        continue
      }
      if (name === 'vary') {
        vary = `${value}, ${vary}`
        continue
      }
      // Of several types browsers take the last that they know: all of them are looked at.
      if (name === 'content-type') contentType = contentType === '' ? value : `${contentType},${value}`
      else if (name === 'content-length') {
        if (status === 204) continue
        contentLength = Number(value)
      } else if (name === 'expires') hasExpires = true
      else if (name === 'location') {
        const location = publicLocation(value, path, rules.location)
        if (location === null) continue
        value = location
      }
      headers.push(name, value)
    }
    // S41: an answer that sets a cookie is nobody else's, whatever the upstream or the settings say.
    const value = setCookies.length > 0 ? 'private, no-store' : ownCaching ?? cacheControl(caching, hasExpires, rules.cache)
    if (value !== null) headers.push('cache-control', value)
    headers.push('vary', vary)
    for (let i = 0; i < fixed.length; i++) headers.push(fixed[i] as string)
    if (!rules.html && ACTIVE_CONTENT.test(contentType)) headers.push('content-security-policy', "sandbox; default-src 'none'")
    // Once, as a list: of repeated names Node keeps the last where something else has set headers before.
    if (setCookies.length > 0) headers.push('set-cookie', [...setCookies])
    if (cors !== null) for (const name in cors) headers.push(name, cors[name] as string)
    return { headers, contentLength, isEventStream: EVENT_STREAM.test(contentType) }
  }

  return { build }
}

/**
 * A header of an upstream's answer, all lines joined.
 *
 * @param raw the headers, flat
 * @param name in lower case
 */
export function headerOf (raw: readonly Buffer[], name: string): string | undefined {
  let found: string | undefined
  for (let i = 0; i < raw.length; i += 2) {
    const candidate = raw[i] as Buffer
    if (candidate.length !== name.length || latin1(candidate).toLowerCase() !== name) continue
    const value = latin1(raw[i + 1])
    found = found === undefined ? value : `${found}, ${value}`
  }
  return found
}

function isDropped (name: string): boolean {
  if (HOP_BY_HOP.has(name) || DROPPED_RESPONSE.has(name)) return true
  for (const prefix of DROPPED_RESPONSE_PREFIXES) if (name.startsWith(prefix)) return true
  return false
}

/**
 * Bytes as text, one character each. `latin1Slice` is `toString('latin1')` without the search for the
 * encoding; the
 * types do not know it.
 *
 * @param buffer any bytes
 */
export function latin1 (buffer: Buffer | undefined): string {
  return (buffer as Buffer & { latin1Slice (): string }).latin1Slice()
}
