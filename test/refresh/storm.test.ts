// Storms of refreshes in the size of a test run; bench/refresh-storm.ts blows the large ones.
import t from 'tap'
import { outage } from '../support/storm/outage.ts'
import { storm, type StormOptions } from '../support/storm/storm.ts'
import type { Policy } from '../support/storm/provider.ts'

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
    // In browser mode a token may die between the refresh and the repetition, on a machine that is busy.
    if (where.mode === 'server') t.equal(result.stale + result.unavailable, 0, `${name}: nobody noticed`)
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

t.test('REF-07 REF-08 an outage of the provider loses no session, and its return is noticed within 5 s', async (t) => {
  const site = { ...USUAL, policy: 'strict', replicas: 2, balancer: 'hash', mode: 'server' } as const
  const { kinds, tokenCalls, lost, recovery } = await outage(site, 8000)
  const known = ['200', '502 idp_misconfigured', '503 idp_unavailable']
  t.strictSame(kinds.filter((kind) => !known.includes(kind)), [], 'no other answer')
  t.equal(lost, 0)
  t.ok(recovery < 5000, `after ${recovery} ms`)
  t.ok(tokenCalls < 200, `${tokenCalls} calls`)
})
