// What the tests of refreshing share: a clock that moves, someone who is logged in, and an API behind Bulla.
import { Browser, type Answer } from './browser-jar.ts'
import { build, ringKey, type Built, type Teardown } from './build.ts'
import type { TestProvider } from './provider.ts'
import type { Upstream } from './upstream.ts'
import { startWorld, type WorldOptions } from './world.ts'

/** A clock that moves when it is told to. */
export interface MovingClock { (): number, advance (seconds: number): void }

/** A clock that stands unless it is advanced; `isRunning`: that runs with the real one, and further. */
export function movingClock (isRunning = false): MovingClock {
  const start = Date.now()
  let ahead = 0
  const advance = (seconds: number): void => { ahead += seconds * 1000 }
  return Object.assign(() => (isRunning ? Date.now() : start) + ahead, { advance })
}

/** Everything a test of refreshing needs. */
export interface Scene extends Built {
  readonly provider: TestProvider
  readonly upstream: Upstream
  readonly clock: MovingClock
  readonly browser: Browser
  /** The replicas, this one first, and which of them browsers reach. */
  readonly replicas: readonly Built[]
  /** Sends every request to this replica from now on. */
  useReplica (index: number): void
  /** Logs someone in, in a browser of their own. */
  login (): Promise<Browser>
}

/** What differs from the usual scene. */
export interface SceneOptions extends WorldOptions {
  /** Whether time goes on by itself. Default: only when it is advanced. */
  readonly isRunning?: boolean
  /** How many replicas share the keys. Default 1. */
  readonly replicas?: number
}

/** The seconds that access tokens of a scene live, unless it says otherwise. */
export const TOKEN_LIFE = 100

/**
 * Starts a provider, an API and a Bulla, and logs someone in.
 *
 * @param t ends them
 * @param options what differs
 */
export async function scene (t: Teardown, options: SceneOptions = {}): Promise<Scene> {
  const clock = movingClock(options.isRunning)
  const deps = { clock, ...options.deps }
  const settings = { keys: [ringKey()], ...options.settings }
  const { provider, upstream, bulla: built } = await startWorld(t, {
    provider: { accessTokenTtl: TOKEN_LIFE, ...options.provider }, settings, deps
  })
  const origin = built.url
  const routes = [{ prefix: '/api', upstream: upstream.url }]
  const replicas = [built]
  while (replicas.length < (options.replicas ?? 1)) {
    replicas.push(await build(t, { provider, settings: { public_url: origin, routes, ...settings }, deps }))
  }
  let current = 0
  const target = (url: URL): string | undefined =>
    url.origin === origin ? `http://localhost:${replicas[current]?.config.port}` : undefined
  const login = async (): Promise<Browser> => {
    const browser = new Browser({ clock, timeout: 30_000, routes: target })
    t.teardown(async () => { await browser.close() })
    const answer = await browser.open(`${built.url}/bff/login`)
    if (!answer.url.href.startsWith(built.url)) throw new Error(`login ended at ${answer.url.href}`)
    return browser
  }
  const useReplica = (index: number): void => { current = index }
  return { ...built, provider, upstream, clock, login, replicas, useReplica, browser: await login() }
}

/** The session as the app is told of it. */
export async function sessionOf (browser: Browser): Promise<Record<string, any>> {
  return (await browser.fetch('/bff/session')).json()
}

/** Status and code of an answer, such as `401 session_stale`. */
export function outcome (answer: Answer): string {
  const code = answer.headers['bulla-error']
  return code === undefined ? String(answer.status) : `${answer.status} ${code}`
}

/** The names that an answer sets (not deletes), sorted. */
export function namesSet (answer: Answer): string[] {
  return answer.setCookies.filter((line) => !/max-age=0/i.test(line)).map((line) => line.split('=', 1)[0] ?? '').sort()
}

/** A promise and the means to settle it. */
export function deferred (): { promise: Promise<void>, resolve: () => void } {
  let settle = (): void => {}
  const promise = new Promise<void>((resolve) => { settle = resolve })
  return { promise, resolve: () => settle() }
}
