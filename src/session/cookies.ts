// Every cookie name and attribute of the product, in one place; and which of them a request brought.

/** Writes one `Set-Cookie` value; `serializeCookie` of @fastify/cookie. */
export type Serialize = (name: string, value: string, attributes: CookieAttributes) => string

/** The attributes of a cookie. */
export interface CookieAttributes {
  path: string
  httpOnly: boolean
  secure: boolean
  sameSite: 'strict' | 'lax' | 'none'
  /** Seconds. */
  maxAge: number
  expires?: Date
}

/** The cookies that a login, a session and its end have. */
export type CookieKind = 'session' | 'login' | 'idle' | 'end' | 'spent' | 'refresh' | 'route'

/** What does not follow the setting: a login comes back from another site, a refresh never does. */
const SAME_SITE: Readonly<Partial<Record<CookieKind, CookieAttributes['sameSite']>>> = {
  login: 'lax', refresh: 'strict'
}

/** What the names and attributes depend on. */
export interface CookieSettings {
  readonly publicUrl: string
  readonly basePath: string
  /** Default: `__Host-Http-bulla`, or `bulla` over http. */
  readonly prefix?: string | undefined
  readonly sameSite: 'strict' | 'lax'
  /** SameSite of login cookies: `none` for form_post, whose answer is a cross-site POST. Default `lax`. */
  readonly loginSameSite?: 'lax' | 'none'
}

/** Names and writes the cookies of the product. */
export interface Cookies {
  /** The name of a cookie; `part` is a chunk's number or a login's id. */
  name (kind: CookieKind, part?: number | string): string
  /** A `Set-Cookie` value that sets. */
  set (kind: CookieKind, part: number | string | undefined, value: string, maxAge: number): string
  /** A `Set-Cookie` value that deletes: the same attributes, in the past. */
  clear (kind: CookieKind, part?: number | string): string
  /** The cookies of the product that a `Cookie` header holds. */
  read (header: string | undefined): OwnCookies
}

/** The cookies of the product that a request brought. */
export interface OwnCookies {
  readonly values: ReadonlyMap<string, string>
  /** Names that came more than once; nothing under them is believed. */
  readonly duplicates: ReadonlySet<string>
}

const NO_NAMES: ReadonlySet<string> = new Set()
const NO_COOKIES: OwnCookies = { values: new Map(), duplicates: NO_NAMES }

/**
 * Fixes the names and attributes of a deployment's cookies.
 *
 * @param settings what they depend on
 * @param serialize writes one
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis section 4.1.3 (name prefixes)
 */
export function createCookies (settings: CookieSettings, serialize: Serialize): Cookies {
  const secure = settings.publicUrl.startsWith('https://')
  const prefix = settings.prefix ?? (secure ? '__Host-Http-bulla' : 'bulla')
  const refreshPrefix = `${secure ? '__Secure-' : ''}${prefix.replace(/^__Host-(Http-)?/, '')}-refresh`
  const stems: Record<CookieKind, string> = {
    session: prefix,
    login: `${prefix}-login`,
    idle: `${prefix}-idle`,
    end: `${prefix}-end`,
    spent: `${prefix}-spent`,
    refresh: refreshPrefix,
    route: `${prefix}-route`
  }
  const attributes = (kind: CookieKind, maxAge: number): CookieAttributes => ({
    path: kind === 'refresh' ? settings.basePath : '/',
    httpOnly: true,
    // None needs Secure, which browsers accept on http://localhost too.
    secure: secure || (kind === 'login' && settings.loginSameSite === 'none'),
    sameSite: kind === 'login' ? settings.loginSameSite ?? 'lax' : SAME_SITE[kind] ?? settings.sameSite,
    maxAge
  })
  const chunkNames = { session: numbered(stems.session), refresh: numbered(stems.refresh) }
  const name = (kind: CookieKind, part?: number | string): string => {
    if (part === undefined) return stems[kind]
    const ready = typeof part === 'number' && (kind === 'session' || kind === 'refresh') ? chunkNames[kind][part] : undefined
    return ready ?? `${stems[kind]}.${part}`
  }
  const known = knownNames(Object.keys(stems) as CookieKind[], name)
  const loginStem = `${stems.login}.`
  const isOwn = (cookie: string): boolean =>
    known.has(cookie) || (cookie.startsWith(loginStem) && LOGIN_ID.test(cookie.slice(loginStem.length)))
  return {
    name,
    set: (kind, part, value, maxAge) => serialize(name(kind, part), value, attributes(kind, maxAge)),
    clear: (kind, part) => serialize(name(kind, part), '', { ...attributes(kind, 0), expires: new Date(0) }),
    read: (header) => header === undefined ? NO_COOKIES : readOwn(header, isOwn)
  }
}

/** What a login's id can be: never more than a cookie's name may hold. */
const LOGIN_ID = /^[A-Za-z0-9_-]{1,32}$/

/** The most cookies of ours that are looked at: far more than there can be. */
const MAX_OWN = 64

/** How many chunks are looked for; chunks.ts writes no more. */
const MAX_NUMBER = 8

/** The names of chunks, made once: every request looks for them. */
function numbered (stem: string): readonly string[] {
  return Array.from({ length: MAX_NUMBER }, (_, number) => `${stem}.${number}`)
}

/** Every name that can be ours, logins excepted: a twin such as `….00` or another case is nobody's. */
function knownNames (kinds: readonly CookieKind[], name: Cookies['name']): ReadonlySet<string> {
  const names = new Set<string>()
  for (const kind of kinds) {
    if (kind === 'session' || kind === 'refresh') {
      for (let number = 0; number < MAX_NUMBER; number++) names.add(name(kind, number))
    } else if (kind !== 'login') names.add(name(kind))
  }
  return names
}

function readOwn (header: string, isOwn: (name: string) => boolean): OwnCookies {
  const values = new Map<string, string>()
  let duplicates = NO_NAMES
  let start = 0
  while (start < header.length && values.size < MAX_OWN) {
    let end = header.indexOf(';', start)
    if (end < 0) end = header.length
    const equals = header.indexOf('=', start)
    if (equals > start && equals < end) {
      const name = header.slice(start, equals).trim()
      if (isOwn(name)) {
        if (values.has(name)) duplicates = new Set([...duplicates, name])
        values.set(name, header.slice(equals + 1, end).trim())
      }
    }
    start = end + 1
  }
  return { values, duplicates }
}
