// An upstream that refuses the token: one refresh and one repeat, a stronger login, or its own answer.
import t from 'tap'
import { build } from '../support/build.ts'
import { sessionCookie } from '../support/session-cookie.ts'
import { startWorld, type World } from '../support/world.ts'
import type { Upstream } from '../support/upstream.ts'

const INVALID = 'Bearer error="invalid_token"'

function refuse (upstream: Upstream, challenge: string, times: number, body = 'theirs'): void {
  let left = times
  upstream.handler = (_request, response) => {
    left -= 1
    if (left >= 0) response.writeHead(401, { 'www-authenticate': challenge }).end(body)
    else response.end('served')
  }
}

async function call (world: World, init: { method?: string, body?: string } = {}): ReturnType<World['browser']['fetch']> {
  return await world.browser.fetch('/api/x', { ...init, headers: { 'x-csrf': '1' } })
}

t.test('an invalid_token for a safe request costs one refresh and one repeat, and the answer carries the new cookie', async (t) => {
  const world = await startWorld(t)
  await world.login()
  const before = world.provider.calls.token
  refuse(world.upstream, INVALID, 1)
  const answer = await call(world)
  t.equal(answer.status, 200)
  t.equal(answer.text, 'served')
  t.match(String(answer.headers['set-cookie']), /bulla\.0=/)
  t.match(answer.headers['cache-control'], /private, no-store/)
  t.equal(world.provider.calls.token, before + 1)
  const [first, second] = world.upstream.requests
  t.not(first?.headers.authorization, second?.headers.authorization)
  t.equal((await call(world)).status, 200, 'the new session is good')
})

t.test('a refused fresh token is the API\'s own matter: its 401 passes, and costs no refresh each time', async (t) => {
  const world = await startWorld(t)
  await world.login()
  const before = world.provider.calls.token
  refuse(world.upstream, INVALID, 100)
  for (let i = 0; i < 3; i++) {
    const answer = await call(world)
    t.equal(answer.status, 401)
    t.equal(answer.text, 'theirs')
    t.equal(answer.headers['bulla-error'], undefined)
    t.equal(answer.headers['www-authenticate'], undefined)
  }
  t.equal(world.provider.calls.token, before + 1)
})

t.test('unsafe requests and those with a body are not repeated; a large refusal passes as it is', async (t) => {
  const world = await startWorld(t)
  await world.login()
  const before = world.provider.calls.token
  refuse(world.upstream, INVALID, 100, 'x'.repeat(200_000))
  for (const init of [{ method: 'POST', body: 'x' }, { method: 'POST' }, { method: 'DELETE' }, { method: 'GET' }]) {
    const answer = await call(world, init)
    t.equal(answer.status, 401)
    t.equal(answer.text.length, 200_000)
  }
  t.equal(world.upstream.requests.length, 4)
  t.equal(world.provider.calls.token, before)
})

t.test('without a refresh the 401 passes: the provider is away', async (t) => {
  const world = await startWorld(t)
  await world.login()
  world.provider.fault('token', { status: 503 })
  refuse(world.upstream, INVALID, 100)
  const answer = await call(world)
  t.equal(answer.status, 401)
  t.equal(answer.text, 'theirs')
  t.equal(world.upstream.requests.length, 1)
})

t.test('PRX-13 an insufficient login becomes step_up_required, its values in the login address', async (t) => {
  const world = await startWorld(t)
  await world.login()
  refuse(world.upstream, 'Bearer error="insufficient_user_authentication", acr_values="gold", max_age=5', 1)
  const answer = await call(world, { method: 'POST', body: 'x' })
  t.equal(answer.status, 401)
  t.equal(answer.headers['bulla-error'], 'step_up_required')
  const problem = JSON.parse(answer.text) as { login_url: string }
  t.equal(problem.login_url, '/bff/login?acr_values=gold&max_age=5')
  t.equal(answer.headers['set-cookie'], undefined)
})

t.test('a refusal that breaks off is repeated whole where the route repeats at all', async (t) => {
  const world = await startWorld(t)
  const built = await build(t, {
    settings: { routes: [{ prefix: '/api', upstream: world.upstream.url, retry: 'connect' }] }
  })
  let count = 0
  world.upstream.handler = (_request, response) => {
    count += 1
    if (count > 1) return response.writeHead(200, { 'content-length': 6 }).end('served')
    response.writeHead(401, { 'www-authenticate': INVALID, 'content-length': 100 }).write('begun')
    return setImmediate(() => { response.destroy() })
  }
  const headers = { cookie: await sessionCookie(built), 'x-csrf': '1' }
  const answer = await fetch(`${built.url}/api/x`, { headers })
  t.equal(answer.status, 200)
  t.equal(await answer.text(), 'served')
  t.equal(count, 2)
})

t.test('REF-16 in browser mode a refused token costs no refresh: the API\'s 401 passes', async (t) => {
  const world = await startWorld(t, { settings: { refresh: { mode: 'browser' } } })
  const built = await build(t, {
    provider: world.provider,
    settings: { routes: [{ prefix: '/api', upstream: world.upstream.url }], refresh: { mode: 'browser' } }
  })
  refuse(world.upstream, INVALID, 100)
  const before = world.provider.calls.token
  const headers = { cookie: await sessionCookie(built, { refreshToken: 'a-refresh-token' }), 'x-csrf': '1' }
  const answer = await fetch(`${built.url}/api/x`, { headers })
  t.equal(answer.status, 401)
  t.equal(await answer.text(), 'theirs')
  t.equal(answer.headers.get('bulla-error'), null)
  t.equal(answer.headers.get('set-cookie'), null)
  t.equal(world.provider.calls.token, before)
  t.equal(world.upstream.requests.length, 1)
})
