// Everything that an end-to-end test needs: a provider, an API, a Bulla in front of it, and a browser.
import { Browser } from './browser-jar.ts'
import { build, freePort, type Built, type BuildOptions, type Teardown } from './build.ts'
import { startProvider, type TestProvider } from './provider.ts'
import { startUpstream, type Upstream } from './upstream.ts'
import type { AuthorizationServerOptions } from '../../demo/authorization-server.ts'

/** What differs from the usual. */
export interface WorldOptions {
  readonly provider?: AuthorizationServerOptions
  readonly settings?: BuildOptions['settings']
  readonly deps?: BuildOptions['deps']
}

/** A provider, an API under `/api`, a Bulla and a browser that is not logged in yet. */
export interface World {
  readonly provider: TestProvider
  readonly upstream: Upstream
  readonly bulla: Built
  readonly browser: Browser
  /** Logs the browser in; it ends at the app. */
  login (): Promise<void>
}

/**
 * Starts a world; it ends with the test.
 *
 * @param t the test
 * @param options what differs from the usual
 */
export async function startWorld (t: Teardown, options: WorldOptions = {}): Promise<World> {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const provider = await startProvider(t, {
    // The second one is the page of an app that takes the answer of a login itself.
    redirectUris: [`${url}/bff/callback`, `${url}/signed-in`],
    postLogoutRedirectUris: [`${url}/bff/logged-out`],
    ...options.provider
  })
  const upstream = await startUpstream(t)
  const bulla = await build(t, {
    provider,
    port,
    settings: { routes: [{ prefix: '/api', upstream: upstream.url }], ...options.settings },
    ...(options.deps === undefined ? {} : { deps: options.deps })
  })
  const browser = new Browser()
  t.teardown(async () => { await browser.close() })
  return {
    provider,
    upstream,
    bulla,
    browser,
    login: async () => {
      const answer = await browser.navigate(`${url}/bff/login`)
      if (answer.url.origin !== url) throw new Error(`the login ended at ${answer.url.href} with ${answer.status}`)
    }
  }
}
