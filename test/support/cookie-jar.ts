// A cookie jar that stores and sends by the rules of RFC 6265bis, without script access or partitions.
import { isTrustworthy } from './site.ts'

/** One stored cookie. */
export interface StoredCookie {
  readonly name: string
  readonly value: string
  /** The host it belongs to, without a leading dot. */
  readonly domain: string
  readonly hostOnly: boolean
  readonly path: string
  readonly secure: boolean
  readonly httpOnly: boolean
  /** `default`: none was stated, which counts as Lax. */
  readonly sameSite: 'strict' | 'lax' | 'none' | 'default'
  /** Milliseconds since 1970; `null`: until the browser closes. */
  readonly expires: number | null
  readonly created: number
}

/** How a request came about, as far as SameSite asks. */
export interface RequestSite {
  readonly sameSite: boolean
  /** A top-level navigation: its answer may set SameSite cookies whatever site it comes from. */
  readonly navigation: boolean
  /** GET or HEAD: with `navigation`, what Lax lets through. */
  readonly safe: boolean
}

const ownRequest: RequestSite = { sameSite: true, navigation: true, safe: true }

/** What happened to a Set-Cookie line. */
export type SetCookieResult = 'stored' | 'deleted' | string

const MAX_PAIR = 4096
const MAX_ATTRIBUTE = 1024
const MAX_AGE_MS = 400 * 86_400_000
const MAX_PER_HOST = 180
/** Control characters other than tab end a line's chance to be stored. */
const hasControl = (line: string) =>
  [...line].some((character) => (character < ' ' && character !== '\t') || character === '\u007f')

/** @see https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html section 5 */
export class CookieJar {
  readonly #clock: () => number
  #cookies: StoredCookie[] = []

  /** @param clock milliseconds since 1970 */
  constructor (clock: () => number = Date.now) {
    this.#clock = clock
  }

  /** All cookies that are alive. */
  get cookies (): readonly StoredCookie[] {
    const now = this.#clock()
    this.#cookies = this.#cookies.filter((cookie) => cookie.expires === null || cookie.expires > now)
    return this.#cookies
  }

  /** The value of the only cookie of that name, or `undefined`. */
  get (name: string): string | undefined {
    return this.cookies.find((cookie) => cookie.name === name)?.value
  }

  /** A copy that goes its own way: a stolen or restored jar. */
  clone (): CookieJar {
    const copy = new CookieJar(this.#clock)
    copy.#cookies = [...this.cookies]
    return copy
  }

  /** Forgets every cookie that passes the test; without a test, all. */
  clear (test: (cookie: StoredCookie) => boolean = () => true): void {
    this.#cookies = this.#cookies.filter((cookie) => !test(cookie))
  }

  /** Puts a cookie in as it is, past all rules: what malware or a developer's console could do. */
  plant (cookie: Pick<StoredCookie, 'name' | 'value' | 'domain'> & Partial<StoredCookie>): void {
    this.#store({
      hostOnly: true,
      path: '/',
      secure: false,
      httpOnly: false,
      sameSite: 'lax',
      expires: null,
      created: this.#clock(),
      ...cookie
    })
  }

  /**
   * Takes one Set-Cookie line.
   * @param site of the request that is answered; by default a same-site one
   * @returns `stored`, `deleted`, or why it was ignored, as browsers do without a word
   */
  setCookie (line: string, url: URL, site: RequestSite = ownRequest): SetCookieResult {
    const parsed = parse(line)
    if (typeof parsed === 'string') return parsed
    const refusal = refuse(parsed, url, site)
    if (refusal !== undefined) return refusal
    const overlays = this.cookies.some((old) => old.secure && old.name === parsed.name)
    if (overlays && !parsed.secure && !isTrustworthy(url)) return 'would overlay a Secure cookie'
    const { attributes, ...rest } = parsed
    const cookie: StoredCookie = {
      ...rest,
      domain: parsed.domain ?? url.hostname,
      hostOnly: parsed.domain === undefined,
      path: parsed.path ?? defaultPath(url.pathname),
      expires: expiry(attributes, this.#clock()),
      created: this.#clock()
    }
    this.#store(cookie)
    return cookie.expires !== null && cookie.expires <= this.#clock() ? 'deleted' : 'stored'
  }

  /** The cookies that a request would carry, in the order in which browsers send them. */
  matching (url: URL, site: RequestSite = ownRequest): readonly StoredCookie[] {
    return this.cookies.filter((cookie) =>
      domainMatches(cookie, url.hostname) && pathMatches(cookie.path, url.pathname) &&
      (!cookie.secure || isTrustworthy(url)) && sameSiteAllows(cookie, site)
    ).sort((a, b) => b.path.length - a.path.length || a.created - b.created)
  }

  /** The Cookie header of a request, or `undefined`. */
  header (url: URL | string, site?: RequestSite): string | undefined {
    const pairs = this.matching(new URL(url), site).map((cookie) => `${cookie.name}=${cookie.value}`)
    return pairs.length === 0 ? undefined : pairs.join('; ')
  }

  /** A cookie of the same name, domain and path is replaced and hands on its age. */
  #store (cookie: StoredCookie): void {
    const same = (other: StoredCookie) => other.name === cookie.name && other.domain === cookie.domain &&
      other.hostOnly === cookie.hostOnly && other.path === cookie.path
    const created = this.#cookies.find(same)?.created ?? cookie.created
    this.#cookies = [...this.#cookies.filter((other) => !same(other)), { ...cookie, created }]
    const ofHost = this.#cookies.filter((other) => other.domain === cookie.domain)
    if (ofHost.length > MAX_PER_HOST) this.#cookies = this.#cookies.filter((other) => other !== ofHost[0])
  }
}

interface Parsed {
  name: string
  value: string
  domain?: string
  path?: string
  secure: boolean
  httpOnly: boolean
  sameSite: StoredCookie['sameSite']
  attributes: ReadonlyMap<string, string>
}

/** @see RFC 6265bis 5.6 */
function parse (line: string): Parsed | string {
  if (hasControl(line)) return 'control character'
  const [pair = '', ...rest] = line.split(';')
  const equals = pair.indexOf('=')
  const name = equals < 0 ? '' : pair.slice(0, equals).trim()
  const value = (equals < 0 ? pair : pair.slice(equals + 1)).trim()
  if (name === '' && value === '') return 'empty'
  if (Buffer.byteLength(name) + Buffer.byteLength(value) > MAX_PAIR) return 'larger than 4096 bytes'
  const attributes = new Map<string, string>()
  for (const part of rest) {
    const [key = '', ...words] = part.split('=')
    const content = words.join('=').trim()
    if (Buffer.byteLength(content) <= MAX_ATTRIBUTE) attributes.set(key.trim().toLowerCase(), content)
  }
  const domain = attributes.get('domain')?.replace(/^\./, '').toLowerCase()
  const path = attributes.get('path')
  return {
    name,
    value,
    ...(domain === undefined || domain === '' ? {} : { domain }),
    ...(path?.startsWith('/') === true ? { path } : {}),
    secure: attributes.has('secure'),
    httpOnly: attributes.has('httponly'),
    sameSite: sameSiteOf(attributes.get('samesite')),
    attributes
  }
}

function sameSiteOf (written = ''): StoredCookie['sameSite'] {
  const value = written.toLowerCase()
  return value === 'strict' || value === 'lax' || value === 'none' ? value : 'default'
}

/** @see RFC 6265bis 5.7, steps 4 to 21 */
function refuse (cookie: Parsed, url: URL, site: RequestSite): string | undefined {
  if (cookie.domain !== undefined && !isSuffix(cookie.domain, url.hostname)) return 'foreign domain'
  if (cookie.secure && !isTrustworthy(url)) return 'Secure over plain http'
  if (cookie.sameSite === 'none' && !cookie.secure) return 'SameSite=None without Secure'
  if (cookie.sameSite !== 'none' && !site.sameSite && !site.navigation) return 'SameSite from another site'
  return refusePrefix(cookie)
}

/** Name prefixes, compared without regard to case. @see RFC 6265bis 4.1.3; layered-cookies for `__Http-` */
function refusePrefix (cookie: Parsed): string | undefined {
  const name = (cookie.name === '' ? cookie.value : cookie.name).toLowerCase()
  if (cookie.name === '' && /^__(secure|host|http|host-http)-/.test(name)) return 'nameless with a prefix'
  const http = name.startsWith('__http-') || name.startsWith('__host-http-')
  const known = http || name.startsWith('__secure-') || name.startsWith('__host-')
  if (known && !cookie.secure) return 'prefix without Secure'
  if (http && !cookie.httpOnly) return 'prefix without HttpOnly'
  const roams = cookie.attributes.has('domain') || cookie.attributes.get('path') !== '/'
  return name.startsWith('__host-') && roams ? '__Host- with Domain or without Path=/' : undefined
}

function expiry (attributes: ReadonlyMap<string, string>, now: number): number | null {
  const maxAge = attributes.get('max-age')
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) {
    return Number(maxAge) <= 0 ? 0 : now + Math.min(Number(maxAge) * 1000, MAX_AGE_MS)
  }
  const expires = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(expires) ? null : Math.min(expires, now + MAX_AGE_MS)
}

function defaultPath (pathname: string): string {
  const end = pathname.lastIndexOf('/')
  return end <= 0 ? '/' : pathname.slice(0, end)
}

function isSuffix (domain: string, host: string): boolean {
  // A bare top-level name such as "example" would be a public suffix: nobody may set cookies for it.
  return host === domain || (domain.includes('.') && host.endsWith(`.${domain}`) && !/^[\d.]+$/.test(host))
}

function domainMatches (cookie: StoredCookie, host: string): boolean {
  return cookie.hostOnly ? host === cookie.domain : isSuffix(cookie.domain, host)
}

function pathMatches (path: string, pathname: string): boolean {
  if (!pathname.startsWith(path)) return false
  return pathname === path || path.endsWith('/') || pathname[path.length] === '/'
}

function sameSiteAllows (cookie: StoredCookie, site: RequestSite): boolean {
  if (site.sameSite || cookie.sameSite === 'none') return true
  return cookie.sameSite !== 'strict' && site.navigation && site.safe
}
