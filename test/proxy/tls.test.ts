// Upstreams behind TLS: a certificate that nobody vouches for gets no token; one of `upstream_ca` does.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { build } from '../support/build.ts'
import { sessionCookie } from '../support/session-cookie.ts'

/** Starts an API whose certificate it has signed itself. */
async function startTls (t: Test): Promise<{ url: string, ca: string, heard: string[] }> {
  const folder = t.testdir()
  const [key, ca] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', ca
  ], { stdio: 'ignore' })
  const heard: string[] = []
  const server = createServer({ key: readFileSync(key), cert: readFileSync(ca) }, (request, response) => {
    heard.push(String(request.headers.authorization))
    response.end('served')
  })
  server.on('upgrade', (request, socket) => {
    heard.push(String(request.headers.authorization))
    socket.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `https://localhost:${(server.address() as AddressInfo).port}`, ca, heard }
}

t.test('PRX-31 an upstream that nobody vouches for is 502, and no token is sent', async (t) => {
  const api = await startTls(t)
  const built = await build(t, {
    settings: { routes: [{ prefix: '/api', upstream: api.url }, { prefix: '/live', upstream: api.url, websocket: true }] }
  })
  const cookie = await sessionCookie(built)
  const answer = await fetch(`${built.url}/api/x`, { headers: { cookie, 'x-csrf': '1' } })
  t.equal(answer.status, 502)
  t.equal(answer.headers.get('bulla-error'), 'upstream_unreachable')
  t.notMatch(await answer.text(), /certificate|localhost:/i)
  const socket = new WebSocket(`${built.url.replace('http', 'ws')}/live/x`, { headers: { cookie }, origin: built.url })
  socket.on('error', () => {})
  await once(socket, 'close')
  t.strictSame(api.heard, [])
})

t.test('PRX-31 upstream_ca names who vouches for an upstream of one\'s own', async (t) => {
  const api = await startTls(t)
  const built = await build(t, { settings: { routes: [{ prefix: '/api', upstream: api.url }], upstream_ca: api.ca } })
  const answer = await fetch(`${built.url}/api/x`, { headers: { cookie: await sessionCookie(built), 'x-csrf': '1' } })
  t.equal(answer.status, 200)
  t.equal(await answer.text(), 'served')
  t.strictSame(api.heard, ['Bearer an-access-token'])
})
