// The browser client as it is served, and as two real tabs of Chromium run it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import type { Browser as Chromium, BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { newContext, noChromium, startChromium } from '../support/chromium.ts'
import { scene, TOKEN_LIFE, type Scene, type SceneOptions } from '../support/refreshing.ts'

const BROWSER_MODE = { settings: { refresh: { mode: 'browser' } } }

t.test('the client is a small module, kept until it changes', async (t) => {
  const { url } = await scene(t)
  const answer = await fetch(`${url}/bff/client.js`)
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/javascript/)
  t.equal(answer.headers.get('cache-control'), 'no-cache')
  t.equal(answer.headers.get('x-content-type-options'), 'nosniff')
  t.equal(answer.headers.get('set-cookie'), null)
  const text = await answer.text()
  t.ok(gzipSync(text).length < 3000, `${gzipSync(text).length} bytes gzipped`)
  t.notMatch(text, /\bimport\b/, 'without dependencies')
  const etag = answer.headers.get('etag') ?? ''
  const again = await fetch(`${url}/bff/client.js`, { headers: { 'if-none-match': `"x", W/${etag}` } })
  t.equal(again.status, 304)
  const hash = etag.slice(1, -1)
  const forever = await fetch(`${url}/bff/client.js?v=${hash}`)
  t.match(forever.headers.get('cache-control'), /immutable/)
  t.equal((await fetch(`${url}/bff/client.js?v=other`)).headers.get('cache-control'), 'no-cache')
  t.equal((await fetch(`${url}/bff/client.js`, { method: 'HEAD' })).status, 200)
})

t.test('in Chromium', { skip: noChromium() }, async (t) => {
  const browser = await startChromium(t)

  await t.test('two tabs refresh once, under a lock, and repeat their calls', async (t) => {
    const { stage, tabs: [one, two] } = await loggedIn(t, browser, BROWSER_MODE)
    stage.clock.advance(TOKEN_LIFE + 1)
    const statuses = await Promise.all([one, two].map(async (page) => await calls(page, 10)))
    t.strictSame(new Set(statuses.flat()), new Set([200]))
    t.equal(stage.provider.calls.token, 3, 'two logins, and one refresh for two tabs')
    stage.clock.advance(TOKEN_LIFE + 1)
    t.strictSame(new Set(await calls(two, 3)), new Set([200]))
    t.strictSame(new Set(await calls(one, 3)), new Set([200]))
    t.equal(stage.provider.calls.token, 4)
  })

  await t.test('a tab that is used refreshes ahead of time, one that is not does not', async (t) => {
    const options = { ...BROWSER_MODE, isRunning: true, provider: { accessTokenTtl: 5 } }
    const { stage, tabs: [used, idle] } = await loggedIn(t, browser, options)
    await idle.evaluate('client.session()')
    const refreshed = used.waitForResponse((response) => response.url().endsWith('/bff/refresh'))
    const before = stage.provider.calls.token
    await used.evaluate('client.session().then(() => client.fetch("/api/a"))')
    t.equal((await refreshed).status(), 200)
    t.equal(stage.provider.calls.token, before + 1)
  })

  await t.test('a stale answer is repeated once, in server mode too', async (t) => {
    const { tabs: [page] } = await loggedIn(t, browser)
    let answered = 0
    await page.route('**/api/stale', async (route) => {
      answered += 1
      await route.fulfill({ status: 401, headers: { 'bulla-error': 'session_stale' }, body: '' })
    })
    t.equal(await page.evaluate('client.fetch("/api/stale").then((answer) => answer.status)'), 401)
    t.equal(answered, 2)
  })

  await t.test('a request with a body is repeated with its body', async (t) => {
    const { stage, tabs: [page] } = await loggedIn(t, browser, BROWSER_MODE)
    stage.clock.advance(TOKEN_LIFE + 1)
    const echoed = await page.evaluate(`client.fetch('/api/a', { method: 'POST', body: 'a tablet' })
      .then((answer) => answer.json())`) as { body: string }
    t.equal(echoed.body, 'a tablet')
  })

  await t.test('the other tab learns of a logout', async (t) => {
    const { tabs: [one, two] } = await loggedIn(t, browser)
    for (const page of [one, two]) await page.evaluate('client.session()')
    const heard = two.evaluate('new Promise((resolve) => client.onChange(resolve))')
    await one.evaluate('client.logout()').catch(() => {})
    t.match(await heard, { type: 'logout' })
    t.match(await two.evaluate('client.session()'), { authenticated: false })
  })

  await t.test('a call without a session says so', async (t) => {
    const { stage, tabs: [page] } = await loggedIn(t, browser)
    await page.context().clearCookies()
    t.strictSame(await page.evaluate(`new Promise((resolve) => {
      const client = createClient({ onUnauthenticated: resolve })
      client.fetch('/api/a')
    })`), 'login_required')
    t.equal(stage.upstream.requests.length, 0)
  })

  await t.test('a call to another origin carries no header of ours', async (t) => {
    const { tabs: [page] } = await loggedIn(t, browser, { anyOrigin: true })
    const other = createServer((request: IncomingMessage, response: ServerResponse) => {
      response.writeHead(200, { 'access-control-allow-origin': '*' }).end(JSON.stringify(request.headers))
    }).listen(0, '127.0.0.1')
    await once(other, 'listening')
    t.teardown(() => { other.close() })
    const { port } = other.address() as { port: number }
    const headers = await page.evaluate(`client.fetch('http://127.0.0.1:${port}/').then((answer) => answer.json())`)
    t.notOk('x-csrf' in (headers as object))
  })

  await t.test('completeLogin ends a login that the app drives, and no code stays in the address', async (t) => {
    const { stage, tabs: [page] } = await loggedIn(t, browser, { settings: { spa_redirect_uri: '/signed-in' } })
    await page.evaluate('history.replaceState(null, "", "/x?state=open")')
    t.strictSame(await page.evaluate('client.completeLogin()'), { handled: false })
    t.equal(page.url(), `${stage.url}/x?state=open`, 'a state of the app itself is left alone')
    await page.evaluate('history.replaceState(null, "", "/x?response=yes")')
    t.strictSame(await page.evaluate('client.completeLogin()'), { handled: false })
    t.equal(page.url(), `${stage.url}/x?response=yes`)
    await page.context().clearCookies()
    const start = `client.fetch('/bff/login/start', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"return_to":"/deep?x=1"}'
    }).then((answer) => answer.json()).then((answer) => answer.authorization_url)`
    await page.goto(await page.evaluate(start))
    t.match(page.url(), /\/signed-in\?.*code=/)
    const end = await page.evaluate('client.completeLogin()')
    t.match(end, { handled: true, return_to: '/deep?x=1', session: { authenticated: true } })
    t.equal(page.url(), `${stage.url}/signed-in`)
    t.strictSame(await page.evaluate('client.completeLogin()'), { handled: false })
  })

  await t.test('login leaves for the login and comes back to the page', async (t) => {
    const { stage, tabs: [page] } = await loggedIn(t, browser)
    await page.evaluate('history.replaceState(null, "", "/deep/link?x=1#y")')
    await Promise.all([page.waitForURL(`${stage.url}/deep/link?x=1#y`), page.evaluate('client.login()').catch(() => {})])
    t.ok(true)
  })
})

interface Tabs { stage: Scene, context: BrowserContext, tabs: [Page, Page] }

/** Two tabs of one browser, logged in, each with the client as `client`. */
async function loggedIn (
  t: Test, browser: Chromium, options: SceneOptions & { anyOrigin?: boolean } = {}
): Promise<Tabs> {
  const spa = t.testdir({
    'index.html': '<!doctype html><title>app</title><script type="module" src="/app.js"></script>',
    'app.js': `import { createClient } from '/bff/client.js'
      Object.assign(globalThis, { createClient, client: createClient() })`
  })
  const stage = await scene(t, { ...options, settings: { spa, ...options.settings } })
  const context = await newContext(t, browser, { bypassCSP: options.anyOrigin === true })
  const open = async (path: string): Promise<Page> => {
    const page = await context.newPage()
    await page.goto(stage.url + path)
    await page.waitForFunction('globalThis.client !== undefined')
    return page
  }
  return { stage, context, tabs: [await open('/bff/login'), await open('/')] }
}

async function calls (page: Page, count: number): Promise<number[]> {
  return await page.evaluate(`Promise.all(Array.from({ length: ${count} }, () => client.fetch('/api/a')))
    .then((answers) => answers.map(({ status }) => status))`)
}
