// Finds and starts the Chromium of this machine for tests in a real browser.
import { existsSync } from 'node:fs'
import { chromium, type Browser as ChromiumBrowser, type BrowserContext, type BrowserContextOptions } from 'playwright-core'
import type { Teardown } from './build.ts'

const CANDIDATES = [
  '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
]
const QUIET = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'
]

/** Where Chromium is: `BULLA_CHROMIUM`, or one of the usual places. */
export function findChromium (): string | undefined {
  return [process.env.BULLA_CHROMIUM ?? '', ...CANDIDATES].find((path) => path !== '' && existsSync(path))
}

/**
 * Why browser tests cannot run here, as tap's `skip` wants it; `false` if they can. With
 * BULLA_REQUIRE_BROWSER=1 a missing browser is no excuse, and the tests fail.
 */
export function noChromium (): string | false {
  if (findChromium() !== undefined || process.env.BULLA_REQUIRE_BROWSER === '1') return false
  return 'no Chromium found: install it, or say where it is in BULLA_CHROMIUM'
}

/** Starts Chromium without a window; ends with the test. */
export async function startChromium (t: Teardown): Promise<ChromiumBrowser> {
  const executablePath = findChromium()
  if (executablePath === undefined) throw new Error('BULLA_REQUIRE_BROWSER=1, but no Chromium was found')
  const browser = await chromium.launch({ executablePath, args: QUIET })
  t.teardown(() => browser.close())
  return browser
}

/**
 * A browser as new: without cookies, history and storage.
 *
 * @param t closes it
 * @param browser from {@link startChromium}; `null` where there is none
 * @param options of the browser's own
 */
export async function newContext (
  t: Teardown, browser: ChromiumBrowser | null, options: BrowserContextOptions = {}
): Promise<BrowserContext> {
  if (browser === null) throw new Error('no Chromium was started')
  const context = await browser.newContext(options)
  t.teardown(async () => { await context.close() })
  return context
}
