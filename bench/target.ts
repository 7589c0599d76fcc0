// What the throughput bench measures, each in a process of its own: `node target.js <kind> <upstream>
// <key> <folder>`.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Agent, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import Fastify from 'fastify'
import httpProxy from '@fastify/http-proxy'
import { Pool } from 'undici'
import { bullaFor } from './bulla.ts'
import { keycloak } from './token-sets.ts'

const [, , kind = '', upstream = '', key = '', folder = '.'] = process.argv
const tokens = keycloak()

const targets: Record<string, () => Promise<number>> = {
  'http-proxy': startHttpProxy,
  undici: startUndici,
  bulla: startBulla,
  express: startExpress
}

const start = targets[kind]
if (start === undefined) throw new Error(`no such target: ${kind}`)
const port = await start()
process.on('message', (message) => {
  if (message !== 'memory') return
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  process.send?.(process.memoryUsage())
})
process.on('disconnect', () => process.exit())
process.send?.({ port })

/** As its README shows it, logging off, no session work. */
async function startHttpProxy (): Promise<number> {
  const app = Fastify({ logger: false })
  await app.register(httpProxy, { upstream, prefix: '/api', rewritePrefix: '/api' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

/** Nothing but undici's dispatcher behind a bare server: what there is to gain. */
async function startUndici (): Promise<number> {
  const pool = new Pool(upstream, { connections: 256, pipelining: 1 })
  const server = createServer((request, response) => {
    pool.dispatch({ path: request.url ?? '/', method: 'GET' }, {
      onConnect: () => {},
      onHeaders: (status, raw) => {
        response.writeHead(status, raw.map((part) => part.toString('latin1')).filter((_, index, all) =>
          !['connection', 'keep-alive'].includes((all[index - index % 2] ?? '').toLowerCase())))
        return true
      },
      onData: (chunk) => response.write(chunk),
      onComplete: () => { response.end() },
      onError: () => { response.destroy() }
    })
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  return (server.address() as AddressInfo).port
}

/** With sessions that another process sealed. */
async function startBulla (): Promise<number> {
  const server = await bullaFor(key, [{ prefix: '/api', upstream, body_limit: '100mb' }])
  return Number(new URL((await server.listen()).url).port)
}

/**
 * The usual stack: the JWE cookie opened on each request, not written; connections to the upstream kept
 * alive.
 */
async function startExpress (): Promise<number> {
  const { default: express } = await import('express')
  const { auth } = (await import('express-openid-connect')).default
  const { createProxyMiddleware } = await import('http-proxy-middleware')
  const app = express()
  app.use(auth({
    issuerBaseURL: 'http://127.0.0.1:9',
    baseURL: 'http://localhost:3000',
    clientID: 'app',
    secret: randomBytes(32).toString('hex'),
    authRequired: false,
    session: { rolling: false, absoluteDuration: 40_000 }
  }))
  app.get('/seed', (request, response) => {
    const session = request as unknown as { appSession: Record<string, unknown> }
    session.appSession.access_token = tokens.accessToken
    session.appSession.refresh_token = tokens.refreshToken
    session.appSession.id_token = tokens.idToken
    session.appSession.token_type = 'Bearer'
    session.appSession.expires_at = Math.floor(Date.now() / 1000) + 36_000
    response.end()
  })
  app.use('/api', createProxyMiddleware({
    target: `${upstream}/api`,
    changeOrigin: true,
    agent: new Agent({ keepAlive: true, maxSockets: 256 }),
    on: {
      proxyReq: (proxied, request) => {
        const { oidc } = request as unknown as { oidc: { accessToken?: { access_token: string } } }
        if (oidc.accessToken === undefined) throw new Error('no session')
        proxied.setHeader('authorization', `Bearer ${oidc.accessToken.access_token}`)
        proxied.removeHeader('cookie')
      }
    }
  }))
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => { server.once('listening', resolve) })
  const { port } = server.address() as AddressInfo
  const seeded = await fetch(`http://127.0.0.1:${port}/seed`)
  const cookie = seeded.headers.getSetCookie().map((value) => value.split(';', 1)[0]).join('; ')
  writeFileSync(join(folder, 'express.cookies'), `${cookie}\n`)
  return port
}
