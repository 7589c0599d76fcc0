// A scripted browser: redirects, cookies by RFC 6265bis, forms, and the Fetch Metadata that browsers send.
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { Agent, request as send } from 'undici'
import { WebSocket } from 'ws'
import { CookieJar, type RequestSite } from './cookie-jar.ts'
import { autoFormOf, formsOf, refreshOf, type Form } from './html.ts'
import {
  fetchRequest, flatten, headersOf, lowerCase, readAll, redirected, requestSite, USER_AGENT,
  type Answer, type BrowserOptions, type FetchInit, type FormInit, type Hop, type Outgoing
} from './browser-request.ts'
import { isSameSite, secFetchSite } from './site.ts'

export type { Answer, BrowserOptions, FetchInit, FormInit, Hop } from './browser-request.ts'
export { CookieJar } from './cookie-jar.ts'

const MAX_REDIRECTS = 20
const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'

/** One browser window with its own cookies. */
export class Browser {
  readonly jar: CookieJar
  /** The page that the window shows; `null` before the first navigation. */
  page: Answer | null = null
  /** The address of that page. */
  url: URL | null = null
  readonly #options: BrowserOptions
  readonly #agent: Agent
  readonly #ownsAgent: boolean

  constructor (options: BrowserOptions = {}, shared?: { jar: CookieJar, agent: Agent }) {
    this.#options = options
    this.jar = shared?.jar ?? new CookieJar(options.clock)
    const timeout = options.timeout ?? 10_000
    this.#agent = shared?.agent ??
      new Agent({ headersTimeout: timeout, bodyTimeout: timeout, connect: { timeout } })
    this.#ownsAgent = shared === undefined
  }

  /** A second browser with a copy of the cookies, at the same page. */
  clone (): Browser {
    return this.#copy(this.jar.clone())
  }

  /** Another tab: the same cookies, a page of its own. */
  tab (): Browser {
    return this.#copy(this.jar)
  }

  #copy (jar: CookieJar): Browser {
    const copy = new Browser(this.#options, { jar, agent: this.#agent })
    copy.url = this.url
    copy.page = this.page
    return copy
  }

  /** Types an address, or opens a bookmark: no page asked for it. */
  async open (url: string): Promise<Answer> {
    return await this.navigate(url, { typed: true })
  }

  /**
   * Follows a link of the page, with all redirects and refreshes.
   * @param init.typed from the address bar; also the case when there is no page yet
   * @param init.headers e.g. `Sec-Purpose: prefetch`
   */
  async navigate (
    url: string, init: { typed?: boolean, headers?: Record<string, string> } = {}
  ): Promise<Answer> {
    const initiator = init.typed === true ? null : this.url
    const headers = { 'sec-fetch-user': '?1', ...lowerCase(init.headers) }
    return await this.#load({ url: this.#resolve(url), method: 'GET', initiator, headers })
  }

  /** Sends a form of the page, or one that its script made. */
  async submitForm (init: FormInit = {}): Promise<Answer> {
    const forms = init.action === undefined ? formsOf(this.page?.text ?? '') : []
    const form = forms.find(({ action }) => action.includes(init.form ?? ''))
    const fields = { ...form?.fields, ...init.fields }
    return await this.#submit({ action: '', method: 'POST', ...form, ...init, fields }, true)
  }

  /** Lets the page's own script send its form, as form_post answers do. */
  async submitAutoForm (): Promise<Answer> {
    const form = autoFormOf(this.page?.text ?? '')
    if (form === undefined) throw new Error('the page has no form that sends itself')
    return await this.#submit(form, false)
  }

  async #submit (form: Pick<Form, 'action' | 'method' | 'fields'>, user: boolean): Promise<Answer> {
    const data = new URLSearchParams(form.fields).toString()
    const url = this.#resolve(form.action === '' ? this.url?.href ?? '' : form.action)
    const method = form.method.toUpperCase()
    if (method === 'GET') url.search = data
    return await this.#load({
      url,
      method,
      initiator: this.url,
      headers: {
        ...(user ? { 'sec-fetch-user': '?1' } : {}),
        ...(method === 'GET' ? {} : { 'content-type': 'application/x-www-form-urlencoded' })
      },
      body: method === 'GET' ? undefined : data
    })
  }

  async #load (target: Pick<Outgoing, 'url' | 'method' | 'initiator' | 'headers' | 'body'>): Promise<Answer> {
    let answer = await this.#chain({
      ...target,
      headers: { accept: HTML, 'upgrade-insecure-requests': '1', ...target.headers },
      navigation: true,
      mode: 'navigate',
      cookies: true,
      chain: [target.url]
    }, true)
    this.page = answer
    this.url = answer.url
    const refresh = refreshOf(answer.text)
    if (refresh !== undefined && (answer.headers['content-type'] ?? '').startsWith('text/html')) {
      const url = this.#resolve(refresh)
      const next = await this.#load({ url, method: 'GET', initiator: this.url, headers: {} })
      answer = { ...next, hops: [...answer.hops, ...next.hops] }
      this.page = answer
    }
    return answer
  }

  /** What the page's script fetches; paths are relative to the page. */
  async fetch (path: string, init: FetchInit = {}): Promise<Answer> {
    return await this.#chain(this.#outgoing(path, init), init.redirect !== 'manual')
  }

  /** The same, for an answer that goes on, such as server-sent events: the body is handed out as it comes. */
  async stream (path: string, init: FetchInit = {}): Promise<Hop & { body: Readable }> {
    const headers = { accept: 'text/event-stream', ...lowerCase(init.headers) }
    const { hop, body } = await this.#exchange(this.#outgoing(path, { ...init, headers }))
    return { ...hop, body }
  }

  #outgoing (path: string, init: FetchInit): Outgoing {
    if (this.url === null) throw new Error('fetch needs a page: navigate first, or set browser.url')
    return fetchRequest(this.#resolve(path), this.url, init)
  }

  /** Opens a WebSocket from the page. `headers` overrides, e.g. a foreign `origin`. */
  socket (path: string, protocols: string[] = [], headers: Record<string, string> = {}): WebSocket {
    const url = this.#resolve(path)
    if (this.url === null) throw new Error('a WebSocket needs a page')
    const target = new URL(url.pathname + url.search, this.#route(url))
    target.protocol = target.protocol.replace('http', 'ws')
    const sameSite = isSameSite(this.url, new URL(url.href.replace(/^ws/, 'http')))
    const cookie = this.jar.header(url, { sameSite, navigation: false, safe: true })
    const socket = new WebSocket(target, protocols, {
      headers: {
        host: url.host,
        origin: this.url.origin,
        'user-agent': USER_AGENT,
        ...(cookie === undefined ? {} : { cookie }),
        'sec-fetch-site': secFetchSite(this.url, [url]),
        'sec-fetch-mode': 'websocket',
        'sec-fetch-dest': 'websocket',
        ...this.#options.headers,
        ...headers
      }
    })
    socket.on('upgrade', (response: IncomingMessage) => {
      for (const line of response.headers['set-cookie'] ?? []) this.jar.setCookie(line, url)
    })
    return socket
  }

  /** Closes the connections. Copies and tabs share them. */
  async close (): Promise<void> {
    if (this.#ownsAgent) await this.#agent.destroy()
  }

  async #chain (first: Outgoing, follow: boolean): Promise<Answer> {
    const hops: Hop[] = []
    let next: Outgoing | undefined = first
    while (next !== undefined) {
      const { hop, body } = await this.#exchange(next)
      hops.push(hop)
      const text = await readAll(body)
      const following: Outgoing | undefined = follow ? redirected(next, hop) : undefined
      if (following === undefined) return { ...hop, text, hops, json: () => JSON.parse(text) }
      if (hops.length > MAX_REDIRECTS) {
        const last = hops.slice(-4).map(({ url }) => url.pathname).join(' → ')
        throw new Error(`more than ${MAX_REDIRECTS} redirects: ${last}`)
      }
      next = following
    }
    throw new Error('unreachable')
  }

  /** One request and its answer: cookies go out and come in. */
  async #exchange (outgoing: Outgoing): Promise<{ hop: Hop, body: Readable }> {
    const site = requestSite(outgoing, this.#options.redirectsCount !== false)
    const cookie = outgoing.cookies ? this.jar.header(outgoing.url, site) : undefined
    const sent = {
      ...headersOf(outgoing, this.page?.headers['referrer-policy']),
      ...this.#options.headers,
      ...(cookie === undefined ? {} : { cookie })
    }
    const target = new URL(outgoing.url.pathname + outgoing.url.search, this.#route(outgoing.url))
    const { statusCode, headers, body } = await send(target, {
      method: outgoing.method as 'GET',
      headers: sent,
      body: outgoing.body ?? null,
      dispatcher: this.#agent,
      ...(outgoing.signal === undefined ? {} : { signal: outgoing.signal })
    })
    const setCookies = [headers['set-cookie'] ?? []].flat()
    const { method, url } = outgoing
    return {
      hop: {
        method,
        url,
        sent,
        setCookies,
        status: statusCode,
        headers: flatten(headers),
        refusedCookies: outgoing.cookies ? this.#keep(setCookies, url, site) : []
      },
      body
    }
  }

  #keep (setCookies: string[], url: URL, site: RequestSite): Hop['refusedCookies'] {
    return setCookies.map((line) => ({ line, reason: this.jar.setCookie(line, url, site) }))
      .filter(({ reason }) => reason !== 'stored' && reason !== 'deleted')
  }

  #resolve (url: string): URL {
    return new URL(url, this.url ?? undefined)
  }

  #route (url: URL): string {
    const { routes = {} } = this.#options
    return (typeof routes === 'function' ? routes(url) : routes[url.origin]) ?? url.origin
  }
}
