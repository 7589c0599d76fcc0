// Runs in the browser: the session, login, logout, a fetch that heals itself, and the refresh under a lock.

/** The session as `GET /bff/session` tells it; times are Unix seconds. */
export interface SessionInfo {
  authenticated: boolean
  login_url?: string
  sub?: string
  claims?: Record<string, unknown>
  sid?: string
  issued_at?: number
  expires_at?: number
  idle_expires_at?: number | null
  access_token_expires_at?: number
  scope?: string
  logout_url?: string
}

/** What happened to the session, here or in another tab. */
export interface Change {
  type: 'login' | 'logout' | 'ended'
  /** Why it ended, such as `session_expired`. */
  code?: string
}

/** What came of a login whose answer this page took. */
export interface LoginEnd {
  /** Whether the address held an answer to a login. */
  handled: boolean
  /** Where the person wanted to go. */
  return_to?: string
  session?: SessionInfo
}

export interface ClientOptions {
  /** Where the endpoints are. Default `/bff`. */
  base?: string
  /** The CSRF header's name. Default `X-CSRF`. */
  csrfHeader?: string
  /** Called when a call of `fetch` met no usable session; the place to call `login()`. */
  onUnauthenticated?: (code: string) => void
}

export interface Client {
  session (): Promise<SessionInfo>
  /** Leaves the page for the login. `returnTo` is a local path; default: this page. */
  login (returnTo?: string): void
  /**
   * For pages that take the provider's answer themselves (`spa_redirect_uri`): ends the login, the code gone
   * from the address before anything else. Safe to call on every page load.
   */
  completeLogin (): Promise<LoginEnd>
  /** Ends the session here and leaves for the provider's own logout, if it has one. */
  logout (): Promise<void>
  /** Like the standard's: adds the CSRF header, repeats a call once whose session was stale. */
  fetch: typeof fetch
  /** Tells of logins, logouts and ended sessions, of all tabs. Returns what stops it. */
  onChange (callback: (change: Change) => void): () => void
}

/** The parameters of an answer. */
const ANSWER = ['code', 'state', 'iss', 'response', 'session_state', 'error', 'error_description', 'error_uri']

const JSON_TYPE = { 'content-type': 'application/json' }

const OVER = ['login_required', 'session_expired', 'session_revoked']

export function createClient (options: ClientOptions = {}): Client {
  const { base = '/bff', csrfHeader = 'X-CSRF', onUnauthenticated } = options
  const home = new URL(base.replace(/\/$/, ''), location.href)
  const name = `bulla:${home.href}`
  const channel = new BroadcastChannel(name)
  const callbacks = new Set<(change: Change) => void>()
  let sid: string | null | undefined
  // In browser mode: when to refresh, by performance.now(); Infinity: somebody else refreshes, or nobody can.
  let dueAt = Infinity
  let isUsed = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let renewal: Promise<void> | undefined

  // A refresh that has left goes on when the page is closed: its answer must not be lost.
  const endpoint = (path: string, method = 'GET', body: string | null = null): Promise<Response> =>
    send(new Request(home.href + path, { method, keepalive: method === 'POST', body, headers: body === null ? {} : JSON_TYPE }))

  function send (request: Request): Promise<Response> {
    request.headers.set(csrfHeader, '1')
    return fetch(request, home.origin === location.origin ? {} : { credentials: 'include' })
  }

  function tell (change: Change): void {
    for (const callback of callbacks) callback(change)
  }

  function know (next: string | null, change: Change): void {
    const isFirst = sid === undefined && change.type !== 'logout'
    if (sid === next && change.type !== 'logout') return
    sid = next
    if (!isFirst || next !== null) channel.postMessage({ sid, change })
    if (!isFirst) tell(change)
  }

  function schedule (seconds: number): void {
    clearTimeout(timer)
    dueAt = performance.now() + seconds * 1000
    // A tab that nobody uses lets its token age: the next call refreshes first.
    if (seconds < 1e6) timer = setTimeout(() => { if (isUsed) renew().catch(() => {}) }, seconds * 1000)
  }

  function learn (response: Response, info: SessionInfo): SessionInfo {
    const due = response.headers.get('bulla-refresh-in')
    schedule(due === null ? Infinity : Number(due))
    know(info.sid ?? null, { type: info.authenticated ? 'login' : 'ended' })
    return info
  }

  async function session (): Promise<SessionInfo> {
    const response = await endpoint('/session')
    if (!response.ok) throw new Error(`session: ${response.status}`)
    return learn(response, await response.json())
  }

  /** One tab at a time; whoever comes second finds the new session and has nothing to do. */
  function renew (): Promise<void> {
    const work = async (): Promise<void> => {
      await session()
      if (dueAt > performance.now()) return
      const response = await endpoint('/refresh', 'POST')
      isUsed = false
      if (!response.ok) return schedule(Number(response.headers.get('retry-after') ?? 'Infinity'))
      learn(response, await response.json())
      channel.postMessage({ due: dueAt - performance.now() })
    }
    const locks: LockManager | undefined = navigator.locks
    const locked = async (): Promise<void> => {
      await (locks === undefined ? work() : locks.request(name, work))
    }
    renewal ??= locked().finally(() => { renewal = undefined })
    return renewal
  }

  async function completeLogin (): Promise<LoginEnd> {
    const page = location.href
    const url = new URL(page)
    const has = (name: string): boolean => url.searchParams.has(name)
    if (!has('response') && !(has('state') && (has('code') || has('error')))) return { handled: false }
    for (const name of ANSWER) url.searchParams.delete(name)
    const show = (address: string): void => { history.replaceState(history.state, '', address) }
    show(url.href)
    const response = await endpoint('/login/end', 'POST', JSON.stringify({ url: page }))
    if (!response.ok) throw new Error(`login: ${response.headers.get('bulla-error') ?? response.status}`)
    const end: LoginEnd = await response.json()
    if (!end.handled) show(page)
    if (end.session !== undefined) learn(response, end.session)
    return end
  }

  async function call (input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init)
    if (new URL(request.url).origin !== home.origin) return await fetch(request)
    isUsed = true
    if (dueAt <= performance.now()) await renew().catch(() => {})
    const again = request.clone()
    let response = await send(request)
    if (response.headers.get('bulla-error') === 'session_stale') {
      await renew().catch(() => {})
      // Elsewhere the newer session may still be on its way to this browser.
      if (dueAt === Infinity) await new Promise((resolve) => setTimeout(resolve, 300))
      response = await send(again)
    }
    const code = response.headers.get('bulla-error')
    if (code !== null && OVER.includes(code)) {
      know(null, { type: 'ended', code })
      onUnauthenticated?.(code)
    }
    return response
  }

  channel.onmessage = ({ data }) => {
    if ('due' in data) return schedule(data.due / 1000)
    if (sid === data.sid) return
    sid = data.sid
    tell(data.change)
  }

  return {
    session,
    completeLogin,
    login: (returnTo = location.pathname + location.search + location.hash) => {
      location.assign(`${home.href}/login?return_to=${encodeURIComponent(returnTo)}`)
    },
    logout: async () => {
      const response = await endpoint('/logout', 'POST')
      if (!response.ok) throw new Error(`logout: ${response.status}`)
      const { logout_url: url } = await response.json()
      schedule(Infinity)
      know(null, { type: 'logout' })
      if (url !== null) location.assign(url)
    },
    fetch: call,
    onChange: (callback) => {
      callbacks.add(callback)
      return () => { callbacks.delete(callback) }
    }
  }
}
