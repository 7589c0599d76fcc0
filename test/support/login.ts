// Logging in at the misbehaving provider with the scripted browser, and what every such test looks at.
import { build, type Built, type BuildOptions, type Teardown } from './build.ts'
import { Browser, type Answer } from './browser-jar.ts'
import { startMisbehavingProvider, type MisbehavingProvider } from './misbehaving-provider.ts'
import type { ClientRules } from './strict-client-check.ts'

/** A Bulla, its provider, and browsers. */
export interface Stage extends Built {
  readonly provider: MisbehavingProvider
  /** A browser without cookies. */
  browser (): Browser
  /** Logs in by navigation and returns where that ends. */
  login (browser: Browser, query?: string): Promise<Answer>
}

/** Starts a misbehaving provider and a Bulla that logs in there. */
export async function stage (
  t: Teardown, options: BuildOptions & { rules?: Partial<ClientRules>, mutations?: string[] } = {}
): Promise<Stage> {
  const provider = await startMisbehavingProvider(t, options.rules, options.deps?.clock)
  provider.mutate(...options.mutations ?? [])
  const built = await build(t, { ...options, provider })
  return {
    ...built,
    provider,
    browser: () => {
      const browser = new Browser()
      t.teardown(async () => { await browser.close() })
      return browser
    },
    login: async (browser, query = '') => await browser.open(`${built.url}/bff/login${query}`)
  }
}

/** The names of the session's cookies in a browser. */
export function sessionCookies (browser: Browser): string[] {
  return browser.jar.cookies.map(({ name }) => name).filter((name) => /bulla\.\d+$/.test(name))
}

/** The values of the session's cookies, to compare them byte by byte (KEEP). */
export function sessionValues (browser: Browser): string {
  return browser.jar.cookies.filter(({ name }) => /bulla\.\d+$/.test(name)).map(({ name, value }) => `${name}=${value}`).join('; ')
}

/** The cookies of logins in flight. */
export function loginCookies (browser: Browser): string[] {
  return browser.jar.cookies.map(({ name }) => name).filter((name) => name.includes('-login.'))
}

/** What /bff/session says. */
export async function whoIs (browser: Browser, url: string): Promise<Record<string, any>> {
  browser.url ??= new URL(url)
  return (await browser.tab().fetch(`${url}/bff/session`)).json()
}
