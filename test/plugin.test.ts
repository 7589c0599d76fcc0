// Bulla as a plugin of somebody's own Fastify app.
import Fastify from 'fastify'
import t from 'tap'
import { bulla, BullaError, ConfigError } from '../src/index.ts'
import { Browser } from './support/browser-jar.ts'
import { freePort, ringKey } from './support/build.ts'
import { startProvider } from './support/provider.ts'

t.test('a host application reads request.session, fresh, and guards its own routes', async (t) => {
  let now = Date.now()
  const port = await freePort()
  const url = `http://localhost:${port}`
  const provider = await startProvider(t, { redirectUris: [`${url}/bff/callback`] })
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(bulla, {
    deps: { clock: () => now },
    public_url: url,
    issuer: provider.issuer,
    client_id: provider.clientId,
    client_secret: provider.clientSecret,
    keys: [ringKey()]
  })
  app.get('/', async () => 'the app')
  app.get('/mine', { onRequest: app.csrfGuard }, async (request) => ({
    name: request.session?.claims.name ?? 'a guest', hasToken: request.session?.accessToken !== undefined
  }))
  await app.listen({ host: '127.0.0.1', port })
  const browser = new Browser()
  t.teardown(async () => { await browser.close() })

  await browser.open(`${url}/`)
  t.strictSame((await browser.fetch('/mine')).json(), { name: 'a guest', hasToken: false })
  t.equal((await browser.fetch('/mine', { csrf: false })).status, 403)
  await browser.navigate(`${url}/bff/login`)
  t.match((await browser.fetch('/mine')).json(), { name: /\w+/, hasToken: true })

  const cookies = browser.jar.header(url)
  now += 115_000
  const refreshed = await browser.fetch('/mine')
  t.match(refreshed.json(), { hasToken: true })
  t.match(refreshed.headers['cache-control'], /no-store/, 'S41 an answer that sets a cookie is kept by nobody')
  t.not(browser.jar.header(url), cookies)

  provider.revokeSubject(provider.log.length > 0 ? JSON.parse((await browser.fetch('/bff/session')).text).sub : '')
  now += 125_000
  t.strictSame((await browser.fetch('/mine')).json(), { name: 'a guest', hasToken: false }, 'a dead session is none')
})

t.test('wrong settings refuse to register, with all problems', async (t) => {
  const app = Fastify()
  await t.rejects(async () => { await app.register(bulla, { public_url: 'http://app.example' }) }, ConfigError)
  t.ok(new BullaError('internal') instanceof Error)
})
