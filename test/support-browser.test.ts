// Holds the scripted browser to its word: what it sends, where it goes, and which cookies it keeps back.
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { Browser } from './support/browser-jar.ts'
import { startUpstream, type UpstreamHandler } from './support/upstream.ts'

/** An app on localhost that sends the browser to another site and back. */
async function twoSites (t: Test) {
  const as = await startUpstream(t)
  const handler: UpstreamHandler = (request, response) => {
    const html = { 'content-type': 'text/html' }
    const answers: Record<string, () => void> = {
      '/': () => response.writeHead(200, { ...html, 'set-cookie': ['s=1; SameSite=Strict', 'l=1; SameSite=Lax'] }).end(),
      '/login': () => response.writeHead(302, { location: `${as.url}/authorize` }).end(),
      '/callback': () => response.writeHead(303, { location: '/home' }).end(),
      '/bounce': () => response.writeHead(200, html).end('<meta http-equiv="refresh" content="0;url=/home">'),
      '/loop': () => response.writeHead(302, { location: '/loop' }).end()
    }
    const answer = answers[request.url ?? ''] ?? (() => response.writeHead(200, html).end('<form action="/x"></form>'))
    answer()
  }
  const site = await startUpstream(t, handler)
  const url = `http://localhost:${site.port}`
  as.handler = (request, response) => {
    if (request.url === '/authorize') return response.writeHead(302, { location: `${url}/callback` }).end()
    return response.writeHead(200, { 'content-type': 'text/html' })
      .end(`<script>document.forms[0].submit()</script><form method="post" action="${url}/callback"><input name="code" value="c"></form>`)
  }
  const cookie = (path: string) => site.requests.findLast((request) => request.url === path)?.headers.cookie
  return { as, site, url, cookie }
}

function open (t: Test, options: ConstructorParameters<typeof Browser>[0] = {}): Browser {
  const browser = new Browser(options)
  t.teardown(() => browser.close())
  return browser
}

t.test('a way through another site loses Strict cookies, as the specification says', async (t) => {
  const { url, cookie, site } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  const page = await browser.navigate('/login')
  t.strictSame(page.hops.map((hop) => hop.url.pathname), ['/login', '/authorize', '/callback', '/home'])
  t.equal(cookie('/login'), 's=1; l=1')
  t.equal(cookie('/callback'), 'l=1')
  t.equal(cookie('/home'), 'l=1')
  t.match(site.requests.at(-1)?.headers, {
    'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-user': '?1'
  })
  await browser.fetch('/data')
  t.equal(cookie('/data'), 's=1; l=1', 'the page that it ends on is the app again')
})

t.test('Chromium does not look at the redirects in between', async (t) => {
  const { url, cookie } = await twoSites(t)
  const browser = open(t, { redirectsCount: false })
  await browser.open(`${url}/`)
  await browser.navigate('/login')
  t.equal(cookie('/callback'), 's=1; l=1')
})

t.test('a form that another site sends itself carries neither Strict nor Lax cookies', async (t) => {
  const { url, as, cookie, site } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  await browser.open(`${as.url}/form`)
  const page = await browser.submitAutoForm()
  t.equal(page.hops[0]?.method, 'POST')
  t.equal(cookie('/callback'), undefined)
  const callback = site.requests.find((request) => request.url === '/callback')
  t.equal(String(callback?.body), 'code=c')
  t.match(callback?.headers, { origin: as.url, 'sec-fetch-site': 'cross-site' })
  t.notOk(callback?.headers['sec-fetch-user'])
  t.equal(page.hops[1]?.method, 'GET', '303 becomes a GET')
})

t.test('a refresh of the own page brings Strict cookies back', async (t) => {
  const { url, as, cookie } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  await browser.open(`${as.url}/elsewhere`)
  const page = await browser.navigate(`${url}/bounce`)
  t.equal(cookie('/bounce'), 'l=1')
  t.equal(cookie('/home'), 's=1; l=1')
  t.equal(page.url.pathname, '/home')
})

t.test('what a person types counts as same-site', async (t) => {
  const { url, cookie, site } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  browser.url = new URL('http://evil.test/')
  await browser.open(`${url}/typed`)
  t.equal(cookie('/typed'), 's=1; l=1')
  t.equal(site.requests.at(-1)?.headers['sec-fetch-site'], 'none')
  browser.url = new URL('http://evil.test/')
  await browser.submitForm({ action: `${url}/forged`, fields: { a: 'b' } })
  t.equal(cookie('/forged'), undefined)
  t.match(site.requests.at(-1)?.headers, { origin: 'http://evil.test', 'sec-fetch-site': 'cross-site' })
})

t.test('a script fetches with the CSRF header, and with Origin where browsers send it', async (t) => {
  const { url, site } = await twoSites(t)
  const browser = open(t)
  await t.rejects(browser.fetch('/x'), /needs a page/)
  await browser.open(`${url}/`)
  await browser.fetch('/get')
  t.match(site.requests.at(-1)?.headers, { 'x-csrf': '1', 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' })
  t.notOk(site.requests.at(-1)?.headers.origin)
  await browser.fetch('/post', { method: 'POST', body: { a: 1 }, csrf: false })
  t.match(site.requests.at(-1), { body: Buffer.from('{"a":1}'), headers: { origin: url, 'content-type': 'application/json' } })
  t.notOk(site.requests.at(-1)?.headers['x-csrf'])
  browser.url = new URL('http://evil.test/')
  await browser.fetch(`${url}/steal`)
  t.notOk(site.requests.at(-1)?.headers.cookie)
  await browser.fetch(`${url}/steal`, { credentials: 'include', mode: 'no-cors' })
  t.match(site.requests.at(-1)?.headers, { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })
  t.notOk(site.requests.at(-1)?.headers.cookie, 'SameSite keeps them back')
})

t.test('a page with no-referrer sends its forms with Origin: null', async (t) => {
  const { url, site } = await twoSites(t)
  const browser = open(t)
  site.handler = (_request, response) => response.writeHead(200, { 'referrer-policy': 'no-referrer' }).end('<form action="/x" method="post"></form>')
  await browser.open(`${url}/`)
  await browser.submitForm()
  t.equal(site.requests.at(-1)?.headers.origin, 'null')
  t.notOk(site.requests.at(-1)?.headers.referer)
})

t.test('endless redirects end with an error', async (t) => {
  const { url } = await twoSites(t)
  await t.rejects(open(t).open(`${url}/loop`), /more than 20 redirects: \/loop → \/loop/)
})

t.test('tabs share cookies and clones do not; an origin can be somewhere else than it says', async (t) => {
  const { site } = await twoSites(t)
  const browser = open(t, { routes: { 'https://app.example': site.url }, headers: { 'x-forwarded-proto': 'https' } })
  await browser.open('https://app.example/')
  t.match(site.requests.at(-1)?.headers, { host: 'app.example', 'x-forwarded-proto': 'https' })
  const [copy, tab] = [browser.clone(), browser.tab()]
  browser.jar.clear()
  t.equal(tab.jar.cookies.length, 0)
  t.equal(copy.jar.cookies.length, 2)
  t.equal(copy.url?.href, 'https://app.example/')
})

t.test('streams are handed out as they come, and the upstream sees who leaves', async (t) => {
  const { url, site } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  site.handler = (_request, response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
  const abort = new AbortController()
  const stream = await browser.stream('/events', { signal: abort.signal })
  const [chunk] = await once(stream.body, 'data')
  t.equal(String(chunk), 'data: 1\n\n')
  stream.body.once('error', () => {})
  abort.abort()
  const recorded = site.requests.at(-1)
  await recorded?.closed
  t.equal(recorded?.aborted, true)
  t.equal(recorded?.headers.accept, 'text/event-stream')
})

t.test('WebSockets carry cookies and Origin, and the upstream echoes', async (t) => {
  const { url, site } = await twoSites(t)
  const browser = open(t)
  await browser.open(`${url}/`)
  const socket = browser.socket('/live', ['v1'])
  await new Promise((resolve) => socket.once('open', resolve))
  socket.send('hello')
  t.equal(String(await new Promise((resolve) => socket.once('message', resolve))), 'hello')
  t.match(site.handshakes[0], { url: '/live', headers: { cookie: 's=1; l=1', origin: url } })
  t.equal(socket.protocol, 'v1')
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.close()
  await closed
  site.refuseSocketsWith = 401
  const refused = browser.socket('/live')
  t.match(await new Promise((resolve) => refused.once('error', resolve)), { message: /401/ })
})
