// What a browser puts on a request, and which request follows a redirect: Fetch and Fetch Metadata, as data.
import type { Readable } from 'node:stream'
import type { RequestSite } from './cookie-jar.ts'
import { isSameSite, isTrustworthy, secFetchSite } from './site.ts'

/** Options of a browser. */
export interface BrowserOptions {
  /** Milliseconds since 1970, for the lifetime of cookies. */
  clock?: () => number
  /**
   * Where connections to an origin really go, e.g. `{'https://app.example': 'http://127.0.0.1:4000'}`: the
   * browser believes in the first, as behind a balancer that ends TLS. A function decides per request.
   */
  routes?: Record<string, string> | ((url: URL) => string | undefined)
  /**
   * Whether a redirect through another site makes a request cross-site for SameSite cookies: `true` (default,
   * as RFC 6265bis 5.2 and Firefox) or `false` (as Chromium).
   */
  redirectsCount?: boolean
  /** Headers of every request, e.g. those that a proxy in front would add. */
  headers?: Record<string, string>
  /** Milliseconds until a request without answer fails. Default 10 s. */
  timeout?: number
}

/** How `fetch` of the page's script is called. */
export interface FetchInit {
  method?: string
  headers?: Record<string, string>
  /** An object is sent as JSON. */
  body?: string | Buffer | object
  /** Sends `X-CSRF: 1`. Default: `true`. */
  csrf?: boolean
  mode?: 'cors' | 'no-cors' | 'same-origin'
  credentials?: 'same-origin' | 'include' | 'omit'
  /** `manual` hands the redirect out. Default `follow`. */
  redirect?: 'follow' | 'manual'
  signal?: AbortSignal
}

/** How a form is sent; what is left out is taken from the page's form. */
export interface FormInit {
  /** Which form: part of its action. Default: the first. */
  form?: string
  action?: string
  method?: string
  fields?: Record<string, string>
}

/** One request of a chain, with what was sent and what came back. */
export interface Hop {
  readonly method: string
  readonly url: URL
  readonly sent: Readonly<Record<string, string>>
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly setCookies: readonly string[]
  /** Set-Cookie lines that the jar did not take, with the reason. */
  readonly refusedCookies: ReadonlyArray<{ line: string, reason: string }>
}

/** The last answer of a chain. */
export interface Answer extends Hop {
  readonly text: string
  /** The body as JSON. */
  json<T = any> (): T
  /** Every request of the chain, this one included. */
  readonly hops: readonly Hop[]
}

/** A request before cookies are added. */
export interface Outgoing {
  method: string
  url: URL
  body?: string | Buffer | undefined
  headers: Record<string, string>
  /** The page that asks; `null`: the person, by the address bar. */
  initiator: URL | null
  navigation: boolean
  mode: string
  cookies: boolean
  /** The addresses so far, this one included. */
  chain: URL[]
  signal?: AbortSignal | undefined
}

/** How the browser introduces itself. */
export const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Bulla/Test'
const REDIRECTS = [301, 302, 303, 307, 308]

/** The request that a page's `fetch` makes. */
export function fetchRequest (url: URL, page: URL, init: FetchInit): Outgoing {
  const { body, credentials = 'same-origin' } = init
  const plain = body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
  return {
    url,
    method: init.method ?? 'GET',
    initiator: page,
    navigation: false,
    mode: init.mode ?? 'cors',
    cookies: credentials === 'include' || (credentials === 'same-origin' && url.origin === page.origin),
    chain: [url],
    headers: {
      accept: '*/*',
      ...(init.csrf === false ? {} : { 'x-csrf': '1' }),
      ...(plain ? {} : { 'content-type': 'application/json' }),
      ...lowerCase(init.headers)
    },
    body: plain ? body : JSON.stringify(body),
    signal: init.signal
  }
}

/** What SameSite asks about a request; `redirectsCount`: whether a redirect through another site counts. */
export function requestSite (outgoing: Outgoing, redirectsCount: boolean): RequestSite {
  const { initiator, chain, url, navigation, method } = outgoing
  const steps = [...(redirectsCount ? chain : []), initiator ?? url]
  const sameSite = steps.every((step) => isSameSite(step, url))
  return { sameSite, navigation, safe: method === 'GET' || method === 'HEAD' }
}

/** The request that a redirect asks for. @see https://fetch.spec.whatwg.org/#http-redirect-fetch */
export function redirected (from: Outgoing, hop: Hop): Outgoing | undefined {
  const { location } = hop.headers
  if (location === undefined || !REDIRECTS.includes(hop.status)) return undefined
  const url = new URL(location, from.url)
  const toGet = hop.status === 303 ? from.method !== 'HEAD' : hop.status < 303 && from.method === 'POST'
  const { 'content-type': _type, ...rest } = from.headers
  return {
    ...from,
    url,
    chain: [...from.chain, url],
    ...(toGet ? { method: 'GET', body: undefined, headers: rest } : {})
  }
}

/** Every header of a request but the cookies. `referrerPolicy` is that of the page that asks. */
export function headersOf (outgoing: Outgoing, referrerPolicy?: string): Record<string, string> {
  return {
    host: outgoing.url.host,
    'user-agent': USER_AGENT,
    'accept-language': 'en',
    ...fetchMetadata(outgoing),
    ...originHeaders(outgoing, referrerPolicy),
    ...outgoing.headers
  }
}

/** The Sec-Fetch headers, which go to trustworthy addresses only. */
function fetchMetadata ({ url, initiator, chain, mode, navigation }: Outgoing): Record<string, string> {
  if (!isTrustworthy(url)) return {}
  return {
    'sec-fetch-site': secFetchSite(initiator, chain),
    'sec-fetch-mode': mode,
    'sec-fetch-dest': navigation ? 'document' : 'empty'
  }
}

/**
 * Origin and Referer. With `no-referrer` a form's Origin is `null`.
 * @see https://fetch.spec.whatwg.org/#append-a-request-origin-header
 */
function originHeaders (outgoing: Outgoing, referrerPolicy?: string): Record<string, string> {
  const { initiator, url, method, mode, chain } = outgoing
  const policy = referrerPolicy ?? 'strict-origin-when-cross-origin'
  if (initiator === null) return {}
  const sameOrigin = chain.every((step) => step.origin === initiator.origin)
  const downgrade = initiator.protocol === 'https:' && url.protocol !== 'https:'
  const silent = policy === 'no-referrer' || downgrade || (policy === 'same-origin' && !sameOrigin)
  const referer = silent ? undefined : sameOrigin ? initiator.href : `${initiator.origin}/`
  const wanted = (method !== 'GET' && method !== 'HEAD') || (mode === 'cors' && !sameOrigin)
  const tainted = chain.some((step) => step.origin !== initiator.origin && step.origin !== url.origin)
  const origin = tainted || (silent && mode !== 'cors') ? 'null' : initiator.origin
  return { ...(wanted ? { origin } : {}), ...(referer === undefined ? {} : { referer }) }
}

/** Header names in lower case, so that later ones override. */
export function lowerCase (headers: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

/** A body as text. */
export async function readAll (body: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Headers with several lines joined to one. */
export function flatten (headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const pairs = Object.entries(headers)
  return Object.fromEntries(pairs.map(([name, value]) => [name, [value ?? ''].flat().join(', ')]))
}
