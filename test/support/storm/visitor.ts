// One browser in a storm: a few cookies, calls in parallel, some of them left, and in browser mode a lock.
import { request, type Dispatcher } from 'undici'
import { CookieJar } from '../cookie-jar.ts'

/** What a visitor needs. */
export interface VisitorOptions {
  readonly origin: string
  /** The balancer: which replica gets a request with these cookies. */
  readonly route: (routingKey: string) => string
  readonly dispatcher: Dispatcher
  readonly mode: 'server' | 'browser'
}

/** An answer, or that nobody waited for it. */
export type Seen = { readonly status: number, readonly code: string | null } | 'left' | 'cut'

/** A browser with one session. */
export class Visitor {
  readonly jar = new CookieJar()
  isLost = false
  readonly #options: VisitorOptions
  #lock: Promise<unknown> = Promise.resolve()
  #renewal: Promise<void> | null = null

  constructor (options: VisitorOptions, setCookies: readonly string[]) {
    this.#options = options
    this.#keep(setCookies)
  }

  /** Calls the API as the app does, with the repetition that the browser client makes. */
  async call (signal?: AbortSignal): Promise<Seen> {
    const first = await this.send('GET', '/api/orders', signal)
    if (typeof first === 'string' || first.code !== 'session_stale') return first
    if (this.#options.mode === 'browser') await this.renew()
    return await this.send('GET', '/api/orders', signal)
  }

  /** As the browser client does: one at a time, and only if nobody else has done it. */
  async renew (): Promise<void> {
    this.#renewal ??= this.#locked().finally(() => { this.#renewal = null })
    await this.#renewal
  }

  async #locked (): Promise<void> {
    const work = this.#lock.then(async () => {
      const { due } = await this.#exchange('GET', '/bff/session')
      if (due !== null && due <= 0) await this.#exchange('POST', '/bff/refresh')
    })
    this.#lock = work.catch(() => {})
    await this.#lock
  }

  /** One request; never throws. */
  async send (method: 'GET' | 'POST', path: string, signal?: AbortSignal): Promise<Seen> {
    try {
      return await this.#exchange(method, path, signal)
    } catch {
      return signal?.aborted === true ? 'left' : 'cut'
    }
  }

  async #exchange (method: 'GET' | 'POST', path: string, signal?: AbortSignal) {
    const { origin, route, dispatcher } = this.#options
    const key = this.jar.cookies.find(({ name }) => name.endsWith('-route'))?.value ?? ''
    const cookie = this.jar.header(new URL(path, origin)) ?? ''
    const { statusCode, headers, body } = await request(route(key) + path, {
      method, dispatcher, headers: { cookie, 'x-csrf': '1' }, ...(signal === undefined ? {} : { signal })
    })
    this.#keep([headers['set-cookie'] ?? []].flat())
    await body.dump()
    const code = headers['bulla-error']
    const due = headers['bulla-refresh-in']
    return {
      status: statusCode, code: typeof code === 'string' ? code : null, due: due === undefined ? null : Number(due)
    }
  }

  #keep (lines: readonly string[]): void {
    for (const line of lines) this.jar.setCookie(line, new URL('/bff/', this.#options.origin))
  }
}
