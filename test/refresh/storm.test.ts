// Storms of refreshes in the size of a test run; bench/refresh-storm.ts blows the large ones.
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildSite, seeded, storm, type StormOptions } from '../support/storm/storm.ts'
import type { Outage, Policy } from '../support/storm/provider.ts'

const USUAL = {
  sessions: 8, calls: 12, rounds: 2, tokenLife: 2000, delay: 60, aborts: 0.1, seed: 42
}
const WINDOW: Policy = { reuseWindow: 5000 }

const SAFE: Array<[string, Pick<StormOptions, 'policy' | 'replicas' | 'balancer' | 'mode'>]> = [
  ['REF-09 one replica, strict rotation', { policy: 'strict', replicas: 1, balancer: 'hash', mode: 'server' }],
  ['three replicas, no rotation, any balancer', { policy: 'none', replicas: 3, balancer: 'random', mode: 'server' }],
  ['REF-10 three replicas, a reuse window, any balancer', { policy: WINDOW, replicas: 3, balancer: 'random', mode: 'server' }],
  ['REF-10 three replicas, strict rotation, a hashing balancer', { policy: 'strict', replicas: 3, balancer: 'hash', mode: 'server' }],
  ['REF-10 three replicas, strict rotation, browser mode, any balancer', { policy: 'strict', replicas: 3, balancer: 'random', mode: 'browser' }]
]

t.test('a storm at each expiry, with delays and clients that leave, loses no session', async (t) => {
  await Promise.all(SAFE.map(async ([name, where]) => {
    const result = await storm({ ...USUAL, ...where })
    t.equal(result.lost, 0, `${name}: no session lost`)
    t.equal(result.wrong, 0, `${name}: every answer is one of the contract's`)
    t.equal(result.stale + result.unavailable, 0, `${name}: nobody noticed`)
    t.ok(result.left > 0, `${name}: ${result.left} clients left`)
    if (where.policy !== 'none') t.equal(result.callsPerReplicaAndGeneration, 1, `${name}: one call for each replica and generation`)
  }))
})

t.test('strict rotation, a random balancer and server mode: clean refusals at worst', async (t) => {
  const result = await storm({ ...USUAL, policy: 'strict', replicas: 3, balancer: 'random', mode: 'server' })
  t.equal(result.wrong, 0)
  t.equal(result.callsPerReplicaAndGeneration, 1)
  t.comment(`${result.lost} of ${USUAL.sessions} sessions lost`)
})

t.test('REF-07 an outage of the provider loses no session, and its return is noticed within 5 s', async (t) => {
  const site = await buildSite({ ...USUAL, policy: 'strict', replicas: 2, balancer: 'hash', mode: 'server' })
  t.teardown(async () => { await site.close() })
  const random = seeded(7)
  const outages: Outage[] = ['error', 'reset', 'html', 'hang']
  const until = Date.now() + 6_000
  await sleep(1500)
  while (Date.now() < until) {
    site.provider.outage = outages[Math.floor(random() * outages.length)] ?? 'error'
    const answers = await Promise.all(site.visitors.map(async (visitor) => await visitor.call()))
    const kinds = answers.map((answer) => typeof answer === 'string' ? answer : `${answer.status} ${answer.code}`)
    t.ok(kinds.every((kind) => kind === '200 null' || kind === '503 idp_unavailable'), [...new Set(kinds)].join())
  }
  site.provider.outage = 'none'
  const mended = Date.now()
  await Promise.all(site.visitors.map(async (visitor) => {
    let answer = await visitor.call()
    while (typeof answer !== 'string' && answer.status === 503 && Date.now() < mended + 10_000) answer = await visitor.call()
    t.equal(typeof answer === 'string' ? answer : answer.status, 200)
  }))
  t.ok(Date.now() - mended < 5000, `after ${Date.now() - mended} ms`)
  t.equal(site.deadTokens(), 0)
})
