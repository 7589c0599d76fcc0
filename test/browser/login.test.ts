// Logging in as people do it, in a real browser: many tabs, the back button, a silent login in a frame.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { build, freePort } from '../support/build.ts'
import { newContext, noChromium, startChromium } from '../support/chromium.ts'
import { startUpstream } from '../support/upstream.ts'
import { startProvider } from '../support/provider.ts'
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts'

const skip = noChromium()
/** One for all tests, each with cookies of its own. */
const chromium = skip === false ? await startChromium(t) : null

/** An app that shows who is logged in, a Bulla in front, a provider on another site. */
async function world (t: Test, settings: object = {}) {
  const provider = await startMisbehavingProvider(t)
  const port = await freePort()
  const spa = t.testdir({ 'index.html': '<!doctype html><title>app</title><h1>The app</h1>', 'logo.txt': 'x' })
  const bulla = await build(t, { provider, port, settings: { spa: join(spa), ...settings } })
  const context = await newContext(t, chromium)
  return { provider, url: bulla.url, context }
}

const whoIs = 'fetch(\'/bff/session\', { headers: { \'x-csrf\': \'1\' } }).then((response) => response.json())'

t.test('AUT-09 ten tabs that all need a login finish in random order, each where it wanted', { skip }, async (t) => {
  const { provider, url, context } = await world(t, { spa_gate: true })
  // A browser opens six connections to a host: so many people are at the provider at once, and leave in any
  // order.
  const held: Array<() => void> = []
  let waiting = 10
  provider.hold = async ({ endpoint }) => {
    if (endpoint !== 'authorize') return
    await new Promise<void>((resolve) => {
      held.push(resolve)
      while (held.length >= Math.min(6, waiting) && held.length > 0) {
        waiting -= 1
        held.splice((waiting * 7) % held.length, 1)[0]?.()
      }
    })
  }
  const pages = await Promise.all(Array.from({ length: 10 }, async () => await context.newPage()))
  await Promise.all(pages.map(async (page, index) => {
    await page.goto(`${url}/page/${index}`)
    await page.getByText('The app').waitFor()
  }))
  for (const [index, page] of pages.entries()) {
    t.equal(new URL(page.url()).pathname, `/page/${index}`)
    t.match(await page.evaluate(whoIs), { authenticated: true, sub: 'u1' })
  }
  t.strictSame(provider.problems, [])
})

t.test('AUT-06 the back button after login shows the app, and after logout no session comes back', { skip }, async (t) => {
  const { provider, url, context } = await world(t)
  const page = await context.newPage()
  await page.goto(`${url}/`)
  await page.goto(`${url}/bff/login?return_to=%2Forders`)
  await page.getByText('The app').waitFor()
  t.equal(new URL(page.url()).pathname, '/orders')
  t.match(await page.evaluate(whoIs), { authenticated: true })
  const callback = await callbackOf(provider)
  await page.goBack()
  t.match(await page.evaluate(whoIs), { authenticated: true }, 'one back is the app, not the provider')
  const tokens = provider.count('token')
  await page.goto(`${url}/bff/callback?${callback}`)
  await page.getByText('The app').waitFor()
  t.equal(provider.count('token'), tokens, 'the answer again: straight on')
  await page.evaluate("fetch('/bff/logout', { method: 'POST', headers: { 'x-csrf': '1' } }).then((response) => response.json())")
  await page.goBack()
  t.match(await page.evaluate(whoIs), { authenticated: false })
  await page.goto(`${url}/bff/callback?${callback}`)
  await page.getByRole('link', { name: 'Try again' }).waitFor()
  t.match(await page.textContent('h1'), /could not be completed/)
  await page.getByRole('link', { name: 'Try again' }).click()
  await page.getByText('The app').waitFor()
  t.match(await page.evaluate(whoIs), { authenticated: true }, 'the way on works')
})

/** The query of an answer to the last login, its code spent. */
async function callbackOf (provider: Awaited<ReturnType<typeof startMisbehavingProvider>>): Promise<string> {
  const asked = provider.calls.findLast(({ endpoint }) => endpoint === 'authorize')
  const spent = provider.calls.findLast(({ endpoint }) => endpoint === 'token')
  return new URLSearchParams({
    state: asked?.params.get('state') ?? '', iss: provider.issuer, code: spent?.params.get('code') ?? ''
  }).toString()
}

t.test('a silent login in a frame tells the page around it, which may be of this origin only', { skip }, async (t) => {
  // An app whose own policy lets the provider into a frame.
  const upstream = await startUpstream(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>The app</h1>')
  })
  const routes = [{ prefix: '/app', upstream: upstream.url, token: 'none', csrf: 'fetch-metadata', html: true }]
  const { provider, url, context } = await world(t, { routes })
  const page = await context.newPage()
  await page.goto(`${url}/app`)
  const silent = `new Promise((resolve) => {
    addEventListener('message', (event) => { resolve({ origin: event.origin, ...event.data }) }, { once: true })
    const frame = document.createElement('iframe')
    frame.src = '/bff/login?prompt=none'
    document.body.append(frame)
  })`
  provider.mutate('error:login_required')
  t.strictSame(await page.evaluate(silent), { origin: url, type: 'bulla:login', outcome: 'login_required' })
  provider.mutate()
  t.strictSame(await page.evaluate(silent), { origin: url, type: 'bulla:login', outcome: 'ok' })
  t.match(await page.evaluate(whoIs), { authenticated: true })
})

t.test('CBE-12 form_post from another site works in a real browser, Strict cookies and all', { skip }, async (t) => {
  const { url, context } = await world(t, { response_mode: 'form_post', spa_gate: true })
  const page = await context.newPage()
  await page.goto(`${url}/orders`)
  await page.getByText('The app').waitFor()
  t.equal(new URL(page.url()).pathname, '/orders')
  t.match(await page.evaluate(whoIs), { authenticated: true })
})

t.test('RPI-01 a form of a served page logs out at the provider too, whatever the page\'s policy', { skip }, async (t) => {
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const provider = await startProvider(t, {
    redirectUris: [`${origin}/bff/callback`], postLogoutRedirectUris: [`${origin}/bff/logged-out`]
  })
  const spa = t.testdir({
    'index.html': '<!doctype html><title>app</title><form method="post" action="/bff/logout"><button>Leave</button></form>'
  })
  const { url } = await build(t, { provider, port, settings: { spa: join(spa) } })
  const page = await (await newContext(t, chromium)).newPage()
  await page.goto(`${url}/bff/login`)
  const heard = provider.nextCall('end_session')
  await page.getByText('Leave').click()
  t.ok(await heard, 'the provider has heard of it')
  await page.waitForURL((address) => address.pathname === '/' && address.origin === url)
  t.match(await page.evaluate(whoIs), { authenticated: false })
})
