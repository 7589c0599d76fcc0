// Every replica learns of a back-channel logout: the signed token is handed on, once, to all, within limits.
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { parsePeer } from '../../src/lib/peer.ts'
import { LOGOUT_EVENT } from '../../src/oidc/backchannel.ts'
import { createPeers, type Peers, type PeersOptions } from '../../src/oidc/peers.ts'
import { build, freePort, ringKey } from '../support/build.ts'
import { startWorld } from '../support/world.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A peer that keeps what it is sent; answers 200 unless told otherwise. */
async function startPeer (t: Test, handler: Handler = (_request, response) => { response.end() }, host = '127.0.0.1') {
  const heard: Array<{ url: string, headers: IncomingMessage['headers'], body: string }> = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      heard.push({ url: request.url ?? '', headers: request.headers, body: String(Buffer.concat(chunks)) })
      handler(request, response)
    })
  }).listen(0, host)
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { origin: `http://${host}:${port}`, port, heard }
}

interface Missed { peer: string, cause: unknown }

function start (t: Test, options: Partial<PeersOptions>): { peers: Peers, missed: Missed[] } {
  const missed: Missed[] = []
  const peers = createPeers({
    peers: [], path: '/bff/backchannel-logout', pause: 1, onMissed: (peer, cause) => { missed.push({ peer, cause }) }, ...options
  })
  t.teardown(async () => { await peers.close() })
  return { peers, missed }
}

t.test('the token is posted to every origin, marked as handed on', async (t) => {
  const [one, two] = [await startPeer(t), await startPeer(t)]
  const { peers, missed } = start(t, { peers: [one.origin, two.origin, one.origin] })
  await peers.tell('a+token=')
  for (const { heard } of [one, two]) {
    t.equal(heard.length, 1, 'once')
    t.match(heard[0], {
      url: '/bff/backchannel-logout',
      headers: { 'bulla-peer': '1', 'content-type': 'application/x-www-form-urlencoded' },
      body: 'logout_token=a%2Btoken%3D'
    })
  }
  t.strictSame(missed, [])
})

t.test('dns: means every address of the name, asked for at each logout', async (t) => {
  const peer = await startPeer(t)
  const asked: string[] = []
  const { peers, missed } = start(t, {
    peers: [`dns:bulla-headless:${peer.port}`],
    lookup: async (host) => {
      asked.push(host)
      return ['127.0.0.1', '127.0.0.1']
    }
  })
  await peers.tell('x')
  await peers.tell('y')
  t.strictSame(asked, ['bulla-headless', 'bulla-headless'])
  t.strictSame(peer.heard.map(({ body }) => body), ['logout_token=x', 'logout_token=y'])
  t.strictSame(missed, [])
})

t.test('the system\'s resolver is asked by default', async (t) => {
  const peer = await startPeer(t)
  const { peers, missed } = start(t, { peers: [`dns:127.0.0.1:${peer.port}`] })
  await peers.tell('x')
  t.equal(peer.heard.length, 1)
  t.strictSame(missed, [])
})

t.test('a peer that fails is tried once more, then reported; the others are not held up', async (t) => {
  const good = await startPeer(t)
  let times = 0
  const shaky = await startPeer(t, (_request, response) => {
    response.writeHead(times++ === 0 ? 503 : 200).end()
  })
  const off = await startPeer(t, (_request, response) => { response.writeHead(404).end('x'.repeat(1000)) })
  const gone = `http://127.0.0.1:${await freePort()}`
  const { peers, missed } = start(t, { peers: [gone, off.origin, shaky.origin, good.origin] })
  await peers.tell('x')
  t.equal(good.heard.length, 1)
  await peers.close()
  t.equal(shaky.heard.length, 2, 'and reached at the second try')
  t.equal(off.heard.length, 2)
  t.strictSame(missed.map(({ peer }) => peer).sort(), [gone, off.origin].sort())
})

t.test('names that cannot be looked up are reported', async (t) => {
  const lookups: Array<PeersOptions['lookup']> = [
    async () => [], async () => { throw new Error('ENOTFOUND') }, async () => await new Promise(() => {})
  ]
  for (const lookup of lookups) {
    const { peers, missed } = start(t, { peers: ['dns:nowhere:3000'], ...(lookup === undefined ? {} : { lookup }) })
    await peers.tell('x')
    t.match(missed, [{ peer: 'dns:nowhere:3000' }])
  }
})

t.test('IPv6 addresses are written as URLs want them', async (t) => {
  const peer = await startPeer(t, undefined, '::1').catch(() => null)
  const port = peer?.port ?? await freePort()
  const { peers, missed } = start(t, { peers: [`dns:six:${port}`], lookup: async () => ['::1'] })
  await peers.tell('x')
  await peers.close()
  if (peer === null) t.match(missed, [{ peer: `http://[::1]:${port}` }])
  else t.equal(peer.heard.length, 1)
})

t.test('an entry is a name with a port, or an origin, and nothing else', async (t) => {
  t.strictSame(parsePeer('dns:bulla-headless.ns.svc:3000'), { kind: 'name', host: 'bulla-headless.ns.svc', port: 3000 })
  t.strictSame(parsePeer('https://bulla-1.internal'), { kind: 'origin', origin: 'https://bulla-1.internal' })
  for (const entry of [
    '', 'dns:', 'dns:host', 'dns:host:0', 'dns:host:99999', 'dns:a b:1', 'dns:[::1]:80', 'bulla:3000', 'ftp://x', 'https://x/path',
    'https://x/', 'https://user@x', 'javascript:alert(1)'
  ]) t.equal(parsePeer(entry), null, entry)
})

t.test('BCL-09 SEA-10/11 with peers, one token ends the session on all replicas, and no replica tells in circles', async (t) => {
  const port = await freePort()
  const ports = [port, await freePort(), await freePort()]
  const origins = ports.map((each) => `http://127.0.0.1:${each}`)
  const lines: string[] = []
  const logger = { level: 'info', stream: { write: (line: string) => { lines.push(line) } } }
  const settings = { keys: [ringKey()], public_url: `http://localhost:${port}`, peers: [...origins, 'http://127.0.0.1:9'] }
  const { bulla, browser, provider } = await startWorld(t, {
    settings: { ...settings, port },
    deps: { logger },
    provider: {
      backchannelLogoutUri: 'http://127.0.0.1:9/', redirectUris: [`http://localhost:${port}/bff/callback`], postLogoutRedirectUris: []
    }
  })
  const others = []
  for (const each of ports.slice(1)) others.push(await build(t, { provider, settings, port: each }))
  await browser.navigate(`http://localhost:${port}/bff/login`)
  const cookie = browser.jar.header(bulla.url) ?? ''
  const apps = [bulla.app, ...others.map(({ app }) => app)]
  const ask = async (app: typeof bulla.app) => (await app.inject({
    method: 'POST', url: '/bff/refresh', headers
  })).statusCode
  const headers = { 'x-csrf': '1', cookie }
  const read = async (app: typeof bulla.app) => (await app.inject({ url: '/bff/session', headers })).json()
  for (const app of apps) t.ok((await read(app)).authenticated)
  const { sub } = await read(bulla.app)
  const at = Math.floor(Date.now() / 1000)
  const token = await provider.sign({
    iss: provider.issuer,
    aud: provider.clientId,
    iat: at,
    exp: at + 60,
    jti: randomUUID(),
    sub,
    events: { [LOGOUT_EVENT]: {} }
  }, { typ: 'logout+jwt' })
  const answer = await apps[1]?.inject({
    method: 'POST',
    url: '/bff/backchannel-logout',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: `logout_token=${token}`
  })
  t.equal(answer?.statusCode, 200)
  for (const app of apps) {
    t.notOk((await read(app)).authenticated)
    t.equal(await ask(app), 401)
    t.equal(app.revocations.counts.values.backchannel_logouts, 1, 'acted on once')
    t.equal(app.revocations.counts.values.backchannel_refused, 0, 'its own token, come back, harms nobody')
  }
  await others[0]?.server.close()
  t.equal(apps[1]?.revocations.counts.values.peers_missed, 1, 'the one that is away is counted')
  t.equal(apps[0]?.revocations.counts.values.peers_missed, 0, 'whoever was told tells nobody')
  t.match(lines.map((line) => JSON.parse(line)).filter(({ from_peer: from }) => from), [{ msg: 'logged out by the provider' }])
})

t.test('BCL-09 a peer that is missed is named in the log, loudly', async (t) => {
  const lines: string[] = []
  const logger = { level: 'info', stream: { write: (line: string) => { lines.push(line) } } }
  const { bulla, provider } = await startWorld(t, { settings: { peers: ['http://127.0.0.1:9'] }, deps: { logger } })
  const at = Math.floor(Date.now() / 1000)
  const token = await provider.sign({
    iss: provider.issuer, aud: provider.clientId, iat: at, exp: at + 60, jti: 'j', sub: 's', events: { [LOGOUT_EVENT]: {} }
  })
  const answer = await bulla.app.inject({
    method: 'POST',
    url: '/bff/backchannel-logout',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: `logout_token=${token}`
  })
  t.equal(answer.statusCode, 200)
  await bulla.server.close()
  const [line] = lines.map((text) => JSON.parse(text)).filter(({ level }) => level === 50)
  t.match(line, { peer: 'http://127.0.0.1:9', msg: /a peer was not told of a logout/ })
  t.notOk(lines.join().includes(token), 'the token itself is not logged')
})
