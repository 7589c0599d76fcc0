// The balancer examples of deploy/, run: strict rotation behind real nginx and HAProxy, and a replica that is
// killed.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import { answering, missing, startBalancer, stop } from '../support/balancer.ts'
import { freePort } from '../support/build.ts'
import { fromRoot } from '../support/root.ts'
import { buildSite, storm } from '../support/storm/storm.ts'

const USUAL = {
  replicas: 3, mode: 'server', sessions: 8, calls: 12, rounds: 2, tokenLife: 2000, delay: 60, aborts: 0.1, seed: 42
} as const

for (const name of ['nginx', 'haproxy'] as const) {
  t.test(`REF-10 strict rotation behind ${name}: the routing cookie keeps every session`, { skip: missing(name) }, async (t) => {
    const result = await storm({
      ...USUAL, policy: 'strict', balancer: async (urls) => await startBalancer(t, name, urls)
    })
    t.equal(result.lost, 0)
    t.equal(result.wrong, 0)
    t.equal(result.callsPerReplicaAndGeneration, 1)
    t.equal(result.stale, 0)
  })
}

t.test('kill -9 of a replica under load: only its requests in flight fail, no session is lost', { skip: missing('nginx') }, async (t) => {
  const replicas: ChildProcess[] = []
  const main = fromRoot('.build/src/main.js')
  if (!existsSync(main)) throw new Error(`there is no ${main}: npm run tools makes it`)
  const site = await buildSite({
    ...USUAL,
    replicas: 1,
    policy: { reuseWindow: 5000 },
    balancer: async (_urls, settings) => {
      const start = async (): Promise<string> => await startReplica(t, main, settings, replicas)
      const urls = await Promise.all([start(), start(), start()])
      return await startBalancer(t, 'nginx', urls)
    }
  })
  t.teardown(async () => { await site.close() })
  const [victim] = replicas
  const failed: number[] = []
  let answered = 0
  let inFlight = 0
  let atKill = 0
  let killed = Infinity
  const end = Date.now() + 60_000
  // The kill comes in the middle of the load, which then goes on for four seconds.
  const load = site.visitors.flatMap((visitor) => [1, 2, 3].map(async () => {
    while (Date.now() < Math.min(killed + 4000, end)) {
      inFlight += 1
      const seen = await visitor.call()
      inFlight -= 1
      if (typeof seen !== 'string' && seen.status === 200) answered += 1
      else failed.push(Date.now())
      if (answered === 100 && killed === Infinity) {
        atKill = inFlight
        killed = Date.now()
        victim?.kill('SIGKILL')
      }
    }
  }))
  await Promise.all(load)
  t.ok(answered > 100, `${answered} calls answered, more than before the kill`)
  t.ok(failed.length <= atKill, `${failed.length} of ${atKill} calls in flight failed`)
  t.ok(failed.every((at) => at >= killed && at < killed + 2000), 'at the moment of the kill')
  for (const visitor of site.visitors) t.match(await visitor.call(), { status: 200 })
})

/** A replica in a process of its own. */
async function startReplica (
  t: Test, main: string, settings: Readonly<Record<string, unknown>>, replicas: ChildProcess[]
): Promise<string> {
  const port = await freePort()
  const [route] = settings.routes as Array<{ prefix: string, upstream: string }>
  const child = spawn(process.execPath, [main], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env.PATH,
      PORT: String(port),
      HOST: '127.0.0.1',
      BULLA_PUBLIC_URL: String(settings.public_url),
      BULLA_ISSUER: String(settings.issuer),
      BULLA_CLIENT_ID: String(settings.client_id),
      BULLA_CLIENT_SECRET: String(settings.client_secret),
      BULLA_KEYS: String(settings.keys),
      BULLA_ROUTES: `${route?.prefix}=${route?.upstream}`,
      BULLA_ROUTING_COOKIE: 'true',
      BULLA_ADMIN_PORT: 'off',
      BULLA_LOG_LEVEL: 'fatal'
    }
  })
  replicas.push(child)
  t.teardown(async () => { await stop(child) })
  await Promise.race([answering(`http://127.0.0.1:${port}/bff/health`), once(child, 'exit')])
  return `http://127.0.0.1:${port}`
}
