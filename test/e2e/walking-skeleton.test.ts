// The whole way on real sockets: log in at a real provider, call an API, refresh, log out; and the hostile.
import t from 'tap'
import { Browser } from '../support/browser-jar.ts'
import { freePort } from '../support/build.ts'
import { startWorld } from '../support/world.ts'

t.test('BBA-02 BBA-20 BBA-22/23 BBA-24 log in, call, refresh, log out', async (t) => {
  let now = Date.now()
  const { provider, upstream, bulla, browser, login } = await startWorld(t, { deps: { clock: () => now } })
  const landing = await browser.navigate(`${bulla.url}/bff/login?return_to=/orders%3Fpage%3D2`)
  t.equal(landing.url.href, `${bulla.url}/orders?page=2`, 'the login ends where it was asked to')
  t.match((await browser.fetch('/bff/session')).json(), { authenticated: true, claims: { name: String }, sid: /^[\w-]{22}$/ })

  const answer = await browser.fetch('/api/orders?limit=5')
  t.equal(answer.status, 200)
  const [call] = upstream.requests
  t.equal(call?.url, '/api/orders?limit=5')
  t.match(call?.headers.authorization, /^Bearer \S+$/)
  t.equal(call?.headers.cookie, undefined)

  now += 115_000
  t.equal((await browser.fetch('/api/orders')).status, 200)
  t.equal(provider.calls.token, 2, 'the expiring token was refreshed, once')
  t.not(upstream.requests[1]?.headers.authorization, call?.headers.authorization)

  const logout = await browser.fetch('/bff/logout', { method: 'POST' })
  t.match(logout.json().logout_url, new RegExp(`^${provider.issuer}/`))
  t.equal((await browser.fetch('/api/orders')).headers['bulla-error'], 'login_required')
  await browser.navigate(logout.json().logout_url)
  const page = await browser.submitAutoForm()
  t.equal(page.url.href, `${bulla.url}/`, 'the provider sends the person back to the app')
  await login()
  t.equal((await browser.fetch('/api/orders')).status, 200, 'a new login is not hit by the old logout')
})

t.test('BBA-03/04 BBA-05 BBA-06/07 BBA-09 BBA-21 AUT-34 SEA-09 nothing of the tokens is readable anywhere', async (t) => {
  const { upstream, bulla, browser, login } = await startWorld(t)
  const seen: string[] = []
  const landing = await browser.navigate(`${bulla.url}/bff/login`)
  await login()
  const answers = [landing, await browser.fetch('/bff/session'), await browser.fetch('/api/orders')]
  const token = upstream.requests[0]?.headers.authorization?.slice('Bearer '.length) ?? ''
  for (const answer of answers) {
    for (const hop of answer.hops.filter((hop) => hop.url.origin === bulla.url)) {
      seen.push(hop.url.href, ...Object.values(hop.headers))
      for (const line of hop.setCookies) {
        t.match(line, /; HttpOnly/i)
        t.match(line, /; Path=\//i)
        t.notMatch(line, /; Domain/i)
        t.match(line, /^bulla-login\./.test(line) ? /; SameSite=Lax/i : /; SameSite=Strict/i)
      }
      t.strictSame(hop.refusedCookies, [], 'a browser takes every cookie')
    }
  }
  const everything = seen.join('\n')
  for (const part of token.split('.')) t.notOk(everything.includes(part), 'no part of the token is in a header or URL')
  for (const [, value] of (browser.jar.header(bulla.url) ?? '').matchAll(/bulla\.\d=([^;]+)/g)) {
    const opened = (value ?? '').split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1')).join()
    t.notMatch(opened.slice(opened.indexOf(',')), /eyJ|nanni|ur\.example/, 'the sealed value shows nothing')
  }
})

t.test('CBE-05 CBE-08 CBE-09/10 CBE-18 S34 S38 forged, repeated and empty callbacks end no session and call no one', async (t) => {
  const { provider, bulla, browser, login } = await startWorld(t)
  await login()
  const before = browser.jar.header(bulla.url)
  const calls = provider.calls.token
  const state = 'A'.repeat(43)
  for (const query of [
    '', 'state=', `state=${state}`, `code=x&state=${state}`, 'code=x', `error=access_denied&state=${state}`,
    `code=a&code=b&state=${state}`, `state=${state}&state=${state}&code=x`, 'code[]=x', '%zz', 'state=%ff&code=%00'
  ]) {
    const answer = await browser.open(`${bulla.url}/bff/callback?${query}`)
    t.equal(answer.status, 400, `${query} is refused`)
    t.match(answer.headers['cache-control'], /no-store/)
    t.match(answer.headers['content-type'], /^text\/html/, 'a person sees a page')
  }
  t.equal(browser.jar.header(bulla.url), before)
  t.equal(provider.calls.token, calls)
})

t.test('AUT-05 AUT-06 AUT-07 a callback works once, in the browser that began, with its own state', async (t) => {
  const { provider, bulla, browser } = await startWorld(t)
  const landing = await browser.navigate(`${bulla.url}/bff/login`)
  const callback = landing.hops.find((hop) => hop.url.pathname === '/bff/callback')?.url.href ?? ''
  const calls = provider.calls.token
  const stranger = new Browser()
  t.teardown(async () => { await stranger.close() })
  const stolen = await stranger.open(callback)
  t.not(stolen.status, 200)
  t.notMatch(stranger.jar.header(bulla.url), /bulla\.0=/)
  await browser.open(callback)
  t.equal(provider.calls.token, calls, 'neither reached the token endpoint')
})

t.test('RDR-01 an unacceptable return_to ends at the default page', async (t) => {
  const { bulla, browser } = await startWorld(t)
  for (const target of ['//evil.example', 'https://evil.example/', '/\\evil.example', '/bff/logout', '/api/orders']) {
    const landing = await browser.navigate(`${bulla.url}/bff/login?return_to=${encodeURIComponent(target)}`)
    t.equal(landing.url.href, `${bulla.url}/`, target)
  }
})

t.test('PRX-06 PRX-18 DIS-06 a provider or API that is down gets an error of the contract, and both recover', async (t) => {
  const { provider, upstream, bulla, browser, login } = await startWorld(t)
  await login()
  await upstream.stop()
  const down = await browser.fetch('/api/orders')
  t.equal(down.status, 502)
  t.match(down.json(), { code: 'upstream_unreachable', type: 'urn:bulla:upstream_unreachable' })
  t.notMatch(down.text, new RegExp(`127\\.0\\.0\\.1|${upstream.port}|ECONN`))
  await upstream.start()
  t.equal((await browser.fetch('/api/orders')).status, 200)

  await provider.stop()
  t.equal((await browser.fetch('/api/orders')).status, 200, 'the access token is alive, so calls go on')
  await provider.start()
  const stranger = new Browser()
  t.teardown(async () => { await stranger.close() })
  await stranger.open(`${bulla.url}/bff/logged-out`)
  const refused = await stranger.fetch('/api/orders')
  t.match([refused.status, refused.headers['bulla-error']], [401, 'login_required'])
})

t.test('DIS-06 a start without the provider waits for it', async (t) => {
  const port = await freePort()
  const { bulla, browser } = await startWorld(t, { settings: { issuer: `http://127.0.0.1:${port}` } })
  const login = await browser.open(`${bulla.url}/bff/login`)
  t.equal(login.status, 503)
  t.equal(login.headers['bulla-error'], 'idp_unavailable')
  t.match(login.headers['retry-after'], /^\d+$/)
  t.equal((await fetch(`${bulla.adminUrl}/readyz`)).status, 503)
  t.equal((await fetch(`${bulla.adminUrl}/livez`)).status, 200)
})

t.test('BBA-11 BBA-12 CSR-05 without the CSRF header nothing is forwarded or told', async (t) => {
  const { upstream, bulla, browser, login } = await startWorld(t)
  await login()
  for (const [path, init] of [
    ['/api/orders', {}], ['/api/orders', { method: 'POST' }], ['/bff/session', {}], ['/bff/logout', { method: 'POST' }]
  ] as const) {
    const answer = await browser.fetch(path, { ...init, csrf: false })
    t.match([answer.status, answer.headers['bulla-error']], [403, 'csrf_header_missing'], path)
  }
  t.equal(upstream.requests.length, 0)
  t.match((await browser.fetch('/bff/session')).json(), { authenticated: true })
  t.equal((await fetch(`${bulla.url}/bff/session`, { method: 'DELETE' })).headers.get('allow'), 'GET')
})
