// What is open when a session ends: a logout, here or at the provider, closes sockets and event streams.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { LOGOUT_EVENT } from '../../src/oidc/backchannel.ts'
import { build, ringKey } from '../support/build.ts'
import { sessionCookie } from '../support/session-cookie.ts'
import { startUpstream } from '../support/upstream.ts'
import { startWorld, type World } from '../support/world.ts'

interface Live extends World {
  readonly socket: WebSocket
  readonly stream: IncomingMessage
  /** Settles when both are closed. @returns the socket's code */
  readonly closed: Promise<number>
}

/** A world whose browser is logged in and holds a socket and an event stream open. */
async function setUp (t: Test): Promise<Live> {
  const upstream = await startUpstream(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n')
  })
  const world = await startWorld(t, {
    provider: { backchannelLogoutUri: 'http://127.0.0.1:9/bff/backchannel-logout' },
    settings: {
      routes: [
        { prefix: '/live', upstream: upstream.url, websocket: true },
        { prefix: '/events', upstream: upstream.url, csrf: 'fetch-metadata' }
      ]
    }
  })
  await world.login()
  const { url } = world.bulla
  const cookie = world.browser.jar.header(url) ?? ''
  const socket = new WebSocket(`${url.replace('http', 'ws')}/live/x`, { headers: { cookie }, origin: url })
  t.teardown(() => { socket.terminate() })
  await once(socket, 'open')
  const call = request(`${url}/events/x`, {
    headers: { cookie, 'sec-fetch-site': 'same-origin', accept: 'text/event-stream' }, agent: false
  }).end()
  t.teardown(() => { call.destroy() })
  const [stream] = await once(call, 'response') as [IncomingMessage]
  await once(stream, 'data')
  const closed = Promise.all([once(socket, 'close'), once(stream.resume(), 'end')]).then(([[code]]) => code as number)
  return { ...world, socket, stream, closed }
}

t.test('WSS-04 WSS-08 a logout closes the socket with 4401 and ends the event stream', async (t) => {
  const { browser, closed, stream } = await setUp(t)
  t.equal((await browser.fetch('/bff/logout', { method: 'POST' })).status, 200)
  t.equal(await closed, 4401)
  t.ok(stream.complete, 'the stream ends in good order')
})

t.test('WSS-04 WSS-08 a back-channel logout closes them too', async (t) => {
  const { bulla, browser, closed, provider, stream } = await setUp(t)
  const { cookies, store } = bulla.app.sessions
  const session = store.open(cookies.read(browser.jar.header(bulla.url)))
  const now = Math.floor(Date.now() / 1000)
  const token = await provider.sign({
    iss: provider.issuer,
    aud: provider.clientId,
    iat: now,
    exp: now + 120,
    jti: randomUUID(),
    sid: session?.providerSid,
    events: { [LOGOUT_EVENT]: {} }
  }, { typ: 'logout+jwt' })
  const answer = await fetch(`${bulla.url}/bff/backchannel-logout`, {
    method: 'POST', body: new URLSearchParams({ logout_token: token })
  })
  t.equal(answer.status, 200)
  t.equal(await closed, 4401)
  t.ok(stream.complete)
})

t.test('WSS-08 an event stream that was being opened when the session ended is over when it opens', async (t) => {
  let open = (): void => {}
  const upstream = await startUpstream(t, (_request, response) => {
    open = () => { response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n') }
  })
  let isBroken = false
  const ended = new Set<string>()
  const revocationList = {
    revoke: ({ id }: { id: string }) => { ended.add(id) },
    isRevoked: ({ sid }: { sid: string }) => {
      if (isBroken) throw new Error('the list is broken')
      return ended.has(sid)
    }
  }
  const routes = [{ prefix: '/events', upstream: upstream.url, csrf: 'fetch-metadata' }]
  const built = await build(t, { settings: { routes }, deps: { revocationList } })
  for (const end of [
    async () => { await built.app.revocations.end([{ kind: 'session', id: 'ends', at: 2 ** 40 }]) },
    async () => { isBroken = true }
  ]) {
    const cookie = await sessionCookie(built, { sid: 'ends' })
    ended.clear()
    const call = request(`${built.url}/events/x`, {
      headers: { cookie, 'sec-fetch-site': 'same-origin', accept: 'text/event-stream' }, agent: false
    }).end()
    await upstream.nextRequest()
    await end()
    open()
    const [stream] = await once(call, 'response') as [IncomingMessage]
    await once(stream.resume(), 'end')
    t.ok(stream.complete, 'in good order')
    t.equal(built.app.liveStreams.size, 0)
  }
})

t.test('an event stream that has promised a length is cut when its session ends, not ended short', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'content-length': 1000 }).write('data: first\n\n')
  })
  const built = await build(t, { settings: { routes: [{ prefix: '/events', upstream: upstream.url, csrf: 'fetch-metadata' }] } })
  const cookie = await sessionCookie(built, { sid: 'ends' })
  const call = request(`${built.url}/events/x`, {
    headers: { cookie, 'sec-fetch-site': 'same-origin', accept: 'text/event-stream' }, agent: false
  }).end()
  const [stream] = await once(call, 'response') as [IncomingMessage]
  await once(stream, 'data')
  t.equal(built.app.liveStreams.end('ends'), 1)
  await t.rejects(once(stream.resume(), 'end'), { code: 'ECONNRESET' })
  t.notOk(stream.complete)
})

t.test('CSR-06 an app of a listed origin may log out by fetch, but not by a form', async (t) => {
  const listed = 'https://admin.example'
  const built = await build(t, { settings: { allowed_origins: [listed], keys: [ringKey()] } })
  const cookie = await sessionCookie(built)
  const url = `${built.url}/bff/logout`
  const site = { cookie, origin: listed, 'sec-fetch-site': 'same-site' }
  const headers = { ...site, 'sec-fetch-mode': 'navigate', accept: 'text/html' }
  t.equal((await built.app.inject({ method: 'POST', url, headers })).headers['bulla-error'], 'csrf_origin_refused')
  const answer = await fetch(url, { method: 'POST', headers: { ...site, 'sec-fetch-mode': 'cors', 'x-csrf': '1' } })
  t.equal(answer.status, 200)
  t.equal(answer.headers.get('access-control-allow-origin'), listed)
  t.match(String(answer.headers.getSetCookie()), /bulla-end=/)
})
