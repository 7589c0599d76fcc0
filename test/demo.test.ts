// The demo's parts that stand on their own: the API that checks tokens, the ports, and the child processes.
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { startChild } from '../demo/children.ts'
import { startOrdersApi } from '../demo/orders-api.ts'
import { freePort } from '../demo/ports.ts'
import { startProvider } from './support/provider.ts'

const AUDIENCE = 'urn:test:orders'
const now = () => Math.floor(Date.now() / 1000)

/** The API with a provider; `call` signs a token with the given claims and calls with it. */
async function api (t: Test, options: { requireScopes?: boolean } = {}) {
  const provider = await startProvider(t)
  const server = await startOrdersApi({ issuer: provider.issuer, audience: AUDIENCE, ...options })
  t.teardown(() => server.close())
  const token = async (claims: Record<string, unknown> = {}, header: Record<string, string> = {}) =>
    await provider.sign(
      { iss: provider.issuer, aud: AUDIENCE, sub: 'a', exp: now() + 60, ...claims }, { typ: 'at+jwt', ...header })
  const call = async (path: string, bearer?: string, init: RequestInit = {}) => {
    const response = await fetch(`${server.url}/api${path}`, {
      ...init,
      headers: { ...init.headers, ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }) }
    })
    const text = await response.text()
    return { status: response.status, challenge: response.headers.get('www-authenticate'), text, body: parse(text) }
  }
  return { provider, token, call }
}

function parse (text: string) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

t.test('the API asks for a token, and names no error when there is none', async (t) => {
  const { call } = await api(t)
  t.match(await call('/orders'), { status: 401, challenge: 'Bearer realm="orders"' })
})

t.test('the API refuses tokens of others, for others, expired, forged or of another kind', async (t) => {
  const { call, token } = await api(t)
  const good = await token()
  const bad = {
    'another audience': await token({ aud: 'urn:test:other' }),
    'another issuer': await token({ iss: 'http://127.0.0.1:9' }),
    expired: await token({ exp: now() - 1 }),
    forged: good.slice(0, -8) + 'AAAAAAAA',
    'an ID token': await token({}, { typ: 'JWT' }),
    'no token at all': 'abc'
  }
  for (const [name, value] of Object.entries(bad)) {
    t.match(await call('/orders', value), { status: 401, challenge: /error="invalid_token"/ }, name)
  }
  t.match(await call('/orders', good), { status: 200, body: { orders: Array } })
})

t.test('each person has orders of their own, and can place more', async (t) => {
  const { call, token } = await api(t)
  const [a, b] = [await token({ sub: 'a' }), await token({ sub: 'b' })]
  const order = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"goods":"Tin","minas":2}' }
  const placed = await call('/orders', a, order)
  t.match(placed, { status: 201, body: { goods: 'Tin', minas: 2, status: 'pressed into clay' } })
  t.match(await call(`/orders/${placed.body.id}`, a), { status: 200, body: placed.body })
  t.equal((await call(`/orders/${placed.body.id}`, b)).status, 404)
  t.equal((await call('/orders', a, { ...order, body: '{"goods":"Tin"}' })).status, 400)
  t.match(await call('/me', a), { status: 200, body: { sub: 'a' } })
})

t.test('roles and, if wanted, scopes decide what is allowed', async (t) => {
  const { call, token } = await api(t, { requireScopes: true })
  t.match(await call('/orders', await token()), { status: 403, challenge: /insufficient_scope/ })
  t.equal((await call('/orders', await token({ scope: 'orders:read' }))).status, 200)
  t.match(await call('/ledger', await token()), { status: 403, body: { error: 'forbidden' } })
  t.match(await call('/ledger', await token({ roles: ['orders-admin'] })), { status: 200, body: { orders: Array } })
  t.match(await call('/me', await token({ roles: 'orders-admin' })), { body: { scopes: [''], roles: [] } }, 'roles are a list')
})

t.test('events flow until the token that opened them expires', async (t) => {
  const { call, token } = await api(t)
  const { text } = await call('/events', await token({ exp: now() + 2 }))
  t.match(text, /^event: order\ndata: \{"id":/)
  t.match(text, /event: expired\ndata: \{\}\n\n$/)
})

t.test('without the issuer the API says so, and recovers', async (t) => {
  const { call, token, provider } = await api(t)
  await provider.stop()
  t.equal((await call('/orders', await token())).status, 503)
  await provider.start()
  t.equal((await call('/orders', await token())).status, 200)
})

t.test('a port that is taken, on either address of localhost, is passed over', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  t.ok(await freePort(port) > port)
  t.ok(await freePort(port + 1, [port + 1]) > port + 1)
  const taken = Array.from({ length: 100 }, (_, index) => port + index)
  await t.rejects(freePort(port, taken), { message: /no free port/ }, 'a hundred are enough')
})

t.test('a child process tells when it is ready, when it cannot start, and ends on request', async (t) => {
  const child = await startChild<{ issuer: string }>('The provider', './provider/process', { port: 0 })
  t.equal((await fetch(`${child.ready.issuer}/jwks`)).status, 200)
  const port = Number(new URL(child.ready.issuer).port)
  const second = startChild('Another', './provider/process', { port })
  await t.rejects(second, { message: /^Another cannot start: .*EADDRINUSE/ })
  await child.stop()
  await child.ended
  await t.rejects(fetch(`${child.ready.issuer}/jwks`))
})
