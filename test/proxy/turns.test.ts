// Several calls at a time: answers of one turn leave together, pipelined ones in order, and a client that
// leaves cancels every call of its connection.
import { EventEmitter, once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import t from 'tap'
import { unwatch, watch } from '../../src/proxy/departures.ts'
import { Outbox } from '../../src/proxy/outbox.ts'
import { build, type Built } from '../support/build.ts'
import { openRaw } from '../support/raw.ts'
import { deferred, outcome, scene, TOKEN_LIFE } from '../support/refreshing.ts'
import { sessionCookie } from '../support/session-cookie.ts'
import { startUpstream, type Upstream, type RecordedRequest } from '../support/upstream.ts'
import type { Teardown } from '../support/provider.ts'

interface World { readonly upstream: Upstream, readonly built: Built, call (path: string): string }

async function start (t: Teardown): Promise<World> {
  const upstream = await startUpstream(t)
  const built = await build(t, { settings: { routes: [{ prefix: '/api', upstream: upstream.url }] } })
  const cookie = await sessionCookie(built)
  return { upstream, built, call: (path) => callOf(path, cookie) }
}

function callOf (path: string, cookie: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nCookie: ${cookie}\r\n\r\n`
}

/** Waits until so many calls have come in. */
async function recorded ({ upstream }: World, count: number): Promise<readonly RecordedRequest[]> {
  while (upstream.requests.length < count) await upstream.nextRequest()
  return upstream.requests
}

t.test('pipelined calls are answered in their order, whichever the upstream answers first', async (t) => {
  const world = await start(t)
  const waiting: Array<() => void> = []
  world.upstream.handler = (request, response) => {
    const body = `answer of ${request.url ?? ''}`
    waiting.push(() => { response.writeHead(200, { 'content-length': body.length }).end(body) })
    if (waiting.length === 3) for (const answer of waiting.reverse()) answer()
  }
  const raw = await openRaw(t, Number(new URL(world.built.url).port))
  raw.send(['/api/1', '/api/2', '/api/3'].map(world.call).join(''))
  const text = await raw.until(/(answer of \/api\/\d[^]*){3}/)
  t.same(text.match(/answer of \/api\/\d/g), ['/api/1', '/api/2', '/api/3'].map((path) => `answer of ${path}`))
})

t.test('calls of one turn are opened together and judged one by one, whatever becomes of the others', async (t) => {
  const upstream = await startUpstream(t)
  const steps: string[] = []
  const revocationList = {
    revoke: () => {},
    isRevoked: ({ sid }: { sid: string }) => {
      steps.push(`judge ${sid}`)
      if (sid === 'broken') throw new Error('the list is broken')
      return sid === 'ended'
    }
  }
  const routes = [
    { prefix: '/api', upstream: upstream.url }, { prefix: '/free', upstream: upstream.url, token: 'none' },
    { prefix: '/maybe', upstream: upstream.url, token: 'optional' }
  ]
  const built = await build(t, { settings: { routes }, deps: { revocationList } })
  const { store } = built.app.sessions
  const read = store.read
  store.read = (header) => {
    const state = read(header)
    steps.push(`open ${state.session?.sid}`)
    if (state.session?.sid === 'fault') throw new Error('a fault of our own')
    return state
  }
  const callWith = async (path: string, sid: string): Promise<string> =>
    callOf(path, await sessionCookie(built, { sid, accessToken: `token-${sid}` }))
  const calls = [
    await callWith('/api/fault', 'fault'), await callWith('/api/a', 'a'), await callWith('/api/broken', 'broken'), await callWith('/free/x', 'x'),
    callOf('/api/none', 'other=1'), callOf('/maybe/none', 'other=1'), await callWith('/api/ended', 'ended'),
    await callWith('/maybe/ended', 'ended'), await callWith('/api/b', 'b'), await callWith('/maybe/c', 'c')
  ]
  // The second time the sessions are known as bytes, the third time as objects.
  for (let time = 1; time <= 3; time++) {
    steps.length = 0
    const raw = await openRaw(t, Number(new URL(built.url).port))
    raw.send(calls.join(''))
    const text = await raw.until(/(HTTP\/1\.1 \d{3}[^]*){10}/)
    t.same(text.match(/(?<=HTTP\/1\.1 )\d+/g), ['500', '200', '500', '200', '401', '200', '401', '200', '200', '200'])
    t.same(text.match(/(?<=bulla-error: )\w+/gi), ['internal', 'internal', 'login_required', 'session_revoked'])
    const made = upstream.requests.splice(0)
    t.same(Object.fromEntries(made.map(({ url, headers }) => [url, headers.authorization])), {
      '/api/a': 'Bearer token-a',
      '/api/b': 'Bearer token-b',
      '/maybe/c': 'Bearer token-c',
      '/free/x': undefined,
      '/maybe/none': undefined,
      '/maybe/ended': undefined
    })
    t.same(steps, [
      'open fault', 'open a', 'open broken', 'open undefined', 'open undefined', 'open ended', 'open ended', 'open b', 'open c',
      'open fault', 'judge a', 'judge broken', 'judge ended', 'judge ended', 'judge b', 'judge c'
    ])
  }
})

t.test('PRX-29 a client that leaves cancels every call that it has pipelined', async (t) => {
  const world = await start(t)
  world.upstream.handler = () => {}
  const raw = await openRaw(t, Number(new URL(world.built.url).port))
  raw.send(['/api/1', '/api/2', '/api/3'].map(world.call).join(''))
  const calls = await recorded(world, 3)
  raw.socket.destroy()
  await Promise.all(calls.map(async ({ closed }) => { await closed }))
  t.same(calls.map(({ aborted }) => aborted), [true, true, true])
})

t.test('PRX-29 calls whose client left while their session was refreshed are not made', async (t) => {
  const lines: string[] = []
  const logger = { level: 'error', stream: { write: (line: string) => { lines.push(line) } } }
  const { browser, clock, provider, upstream, app, url } = await scene(t, { deps: { logger } })
  const cookie = browser.jar.header(`${url}/api/x`) ?? ''
  clock.advance(TOKEN_LIFE + 1)
  const held = deferred()
  provider.delay('token', held.promise)
  const called = provider.nextCall('token')
  const accepted = once(app.server, 'connection') as Promise<[Socket]>
  const raw = await openRaw(t, Number(new URL(url).port))
  const gone = once((await accepted)[0], 'close')
  raw.send(['/api/1', '/api/2', '/api/3'].map((path) => callOf(path, cookie)).join(''))
  await called
  raw.socket.destroy()
  await gone
  held.resolve()
  t.equal(outcome(await browser.fetch('/api/next')), '200')
  t.same(upstream.requests.map(({ url }) => url), ['/api/next'])
  t.same(lines, [])
})

t.test('a client that leaves when the answer is ready harms nobody', async (t) => {
  const world = await start(t)
  const port = Number(new URL(world.built.url).port)
  world.upstream.handler = (_request, response) => { response.writeHead(200, { 'content-length': 2 }).end('ok') }
  for (let round = 0; round < 20; round++) {
    const raw = await openRaw(t, port)
    raw.send(world.call('/api/x'))
    await world.upstream.nextRequest()
    raw.socket.destroy()
  }
  const raw = await openRaw(t, port)
  raw.send(world.call('/api/x'))
  t.match(await raw.until(/ok$/), /^HTTP\/1\.1 200 /)
})

t.test('a connection has one listener however many calls it carries, and forgets those that are over', async (t) => {
  const connection = new EventEmitter() as Socket
  const told: number[] = []
  const calls = Array.from({ length: 50 }, (_, index) => ({ left: () => { told.push(index) } }))
  for (const call of calls) watch(connection, call)
  t.equal(connection.listenerCount('close'), 1)
  for (const call of calls.slice(2)) unwatch(connection, call)
  connection.emit('close')
  t.same(told, [0, 1])
})

t.test('an outbox writes at the end of the turn, in order, and passes over who has left', async (t) => {
  const outbox = new Outbox()
  const written: string[] = []
  const response = (name: string, destroyed: boolean): ServerResponse => ({
    destroyed, socket: null, write: (body: string) => { written.push(`${name}: ${body}`) }, end: () => { written.push(`${name} ends`) }
  }) as unknown as ServerResponse
  outbox.add(response('a', false), '1')
  outbox.add(response('b', true), '2')
  outbox.add(response('c', false), '3')
  t.same(written, [])
  const turn = new EventEmitter()
  setImmediate(() => { turn.emit('over') })
  await once(turn, 'over')
  t.same(written, ['a: 1', 'a ends', 'c: 3', 'c ends'])
})
