// The demo in a real browser: what a person clicks works, and no token is anywhere a script could look.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { BrowserContext, Page } from 'playwright-core'
import { startAuthorizationServer } from '../../demo/authorization-server.ts'
import { startOrdersApi } from '../../demo/orders-api.ts'
import { packageRoot } from '../../demo/package-root.ts'
import { build, freePort } from '../support/build.ts'
import { newContext, noChromium, startChromium } from '../support/chromium.ts'

/** A signed JWT: two parts that begin as JSON does. A sealed cookie (JWE, `dir`) has an empty second part. */
const JWT = /eyJ[\w-]{8,}\.eyJ[\w-]{8,}/

const skip = noChromium()
/** One for all tests, each with cookies of its own. */
const chromium = skip === false ? await startChromium(t) : null

/** The whole demo, and a browser that writes down what the page sends and gets. */
async function demo (t: Test) {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const provider = await startAuthorizationServer({
    redirectUris: [`${url}/bff/callback`], postLogoutRedirectUris: [`${url}/bff/logged-out`]
  })
  t.teardown(() => provider.close())
  const api = await startOrdersApi({ issuer: provider.issuer, audience: 'urn:bulla-demo:orders' })
  t.teardown(() => api.close())
  const spa = join(packageRoot(), 'demo/page')
  await build(t, { port, provider, settings: { spa, routes: [{ prefix: '/api', upstream: api.url }] } })
  const context = await newContext(t, chromium)
  const page = await context.newPage()
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) faults.push(message.text())
  })
  return { url, context, page, faults, seen: watch(context, url) }
}

/** Bodies of the app's origin and the Authorization headers that left the browser. */
function watch (context: BrowserContext, origin: string) {
  const seen: { bodies: string[], authorization: string[], pending: Array<Promise<unknown>> } = {
    bodies: [], authorization: [], pending: []
  }
  context.on('request', (request) => {
    const { authorization } = request.headers()
    if (authorization !== undefined) seen.authorization.push(authorization)
  })
  context.on('response', (response) => {
    if (!response.url().startsWith(origin) || response.status() >= 300) return
    seen.pending.push(response.text().then((text) => seen.bodies.push(text), () => {}))
  })
  return seen
}

async function logIn (page: Page, url: string, user = 'nanni'): Promise<void> {
  await page.goto(url)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.locator(`button[value="${user}"]`).click()
  await page.getByRole('cell', { name: 'Sesame oil' }).waitFor()
}

/** Everything that a script of the page could read. */
const readable = (page: Page) => page.evaluate(async () => {
  const scope = globalThis as unknown as {
    document: { cookie: string, documentElement: { outerHTML: string } }
    localStorage: object
    sessionStorage: object
    location: { href: string }
    indexedDB: { databases (): Promise<unknown[]> }
  }
  return {
    cookie: scope.document.cookie,
    storage: JSON.stringify([scope.localStorage, scope.sessionStorage, await scope.indexedDB.databases()]),
    html: scope.document.documentElement.outerHTML,
    address: scope.location.href
  }
})

const options = { skip }

t.test('a person logs in by clicking, calls the API, reloads and logs out', options, async (t) => {
  const { url, page, faults } = await demo(t)
  await logIn(page, `${url}/some/view?x=1#part`)
  t.equal(page.url(), `${url}/some/view?x=1#part`, 'back where the login began')
  t.match(await page.locator('#name').textContent(), 'Nanni of Ur')

  await page.getByLabel('Goods').fill('Lapis lazuli')
  await page.getByRole('button', { name: 'Place order' }).click()
  await page.getByRole('cell', { name: 'Lapis lazuli' }).waitFor()

  await page.getByRole('button', { name: 'Refresh now' }).click()
  await page.locator('#refreshes li').waitFor()
  t.match(await page.locator('#refreshes').textContent(), /refreshed; the new access token is good until/)

  await page.getByRole('button', { name: 'without X-CSRF' }).click()
  await page.getByText('csrf_header_missing').waitFor()
  await page.getByRole('button', { name: 'everybody’s orders' }).click()
  await page.getByText('The role orders-admin is needed').waitFor()

  await page.getByLabel('follow the boats').check()
  await page.locator('tr.moved').first().waitFor()

  await page.reload()
  await page.getByRole('cell', { name: 'Lapis lazuli' }).waitFor()
  t.match(await page.locator('#name').textContent(), 'Nanni of Ur', 'a reload keeps the session')

  await page.locator('#logout').click()
  await page.getByRole('heading', { name: 'Log out?' }).waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('button', { name: 'Log in' }).waitFor()
  t.equal(new URL(page.url()).origin, url)
  t.strictSame(faults, [])
})

t.test('BBA-21 no token is in the page, its storage, its cookies or any answer', options, async (t) => {
  const { url, page, context, seen } = await demo(t)
  await logIn(page, url, 'ea-nasir')
  await page.getByRole('button', { name: 'Refresh now' }).click()
  await page.locator('#refreshes li').waitFor()

  const found = await readable(page)
  t.equal(found.cookie, '', 'document.cookie is empty')
  t.equal(found.storage, '[{},{},[]]', 'nothing is stored')
  t.notMatch(found.html, JWT)
  t.equal(found.address, `${url}/`)

  const cookies = (await context.cookies()).filter(({ domain }) => domain === 'localhost')
  t.ok(cookies.length > 0)
  for (const { name, httpOnly, sameSite, path, value } of cookies) {
    t.match({ name, httpOnly, sameSite, path }, { name: /^bulla/, httpOnly: true, sameSite: 'Strict', path: '/' })
    t.notMatch(value, JWT)
  }
  await Promise.all(seen.pending)
  t.ok(seen.bodies.length > 5)
  for (const body of seen.bodies) t.notMatch(body, JWT)
  t.strictSame(seen.authorization, [], 'no request of the browser carried a token')
})

t.test('the back button neither breaks a session nor brings one back', options, async (t) => {
  const { url, page } = await demo(t)
  await logIn(page, url)
  await page.goBack()
  await page.getByText('This login is over').waitFor()
  await page.goBack()
  await page.getByRole('cell', { name: 'Sesame oil' }).waitFor()
  t.equal(page.url(), `${url}/`, 'the page before the login knows the session now')
  await page.goForward()
  await page.goForward()
  await page.getByRole('cell', { name: 'Sesame oil' }).waitFor()

  await page.locator('#logout').click()
  // The page that is left has a button of this name, too.
  await page.getByRole('heading', { name: 'Log out?' }).waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('button', { name: 'Log in' }).waitFor()
  await page.goBack()
  await page.goBack()
  await page.getByRole('button', { name: 'Log in' }).waitFor()
  t.equal(await page.locator('#signed-in').isVisible(), false, 'the page from before the logout shows no session')
})

t.test('a cancelled login says so, and the next one works', options, async (t) => {
  const { url, page } = await demo(t)
  await page.goto(url)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('button', { name: 'Cancel and go back' }).click()
  await page.getByText(/login_denied/).waitFor()
  await logIn(page, url)
})

t.test('the page tells when Bulla is gone', options, async (t) => {
  const { url, page, context } = await demo(t)
  await logIn(page, url)
  await context.setOffline(true)
  await page.getByText('unreachable: Bulla does not answer').waitFor()
  await context.setOffline(false)
  await page.getByText('unreachable').waitFor({ state: 'hidden' })
  t.match(await page.locator('#name').textContent(), 'Nanni of Ur')
})
