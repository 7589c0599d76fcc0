// Storms over every combination of provider policy, balancer and mode; prints the table of docs/refresh.md.
import { parseArgs } from 'node:util'
import { outage } from '../test/support/storm/outage.ts'
import { storm, type StormOptions } from '../test/support/storm/storm.ts'
import type { Policy } from '../test/support/storm/provider.ts'

const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    sessions: { type: 'string', default: '50' },
    calls: { type: 'string', default: '40' },
    rounds: { type: 'string', default: '20' },
    'token-life': { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false }
  }
})

const POLICIES: Record<string, Policy> = {
  'no rotation': 'none', 'reuse window 5 s': { reuseWindow: 5000 }, strict: 'strict'
}

/** Combinations in which a session may be lost; everywhere else one is a failure. */
const mayLose = (options: StormOptions): boolean => options.policy === 'strict' &&
  options.mode === 'server' && options.balancer === 'random' && options.replicas > 1

const usual = {
  sessions: values.smoke ? 5 : Number(values.sessions),
  calls: values.smoke ? 8 : Number(values.calls),
  rounds: values.smoke ? 1 : Number(values.rounds),
  seed: Number(values.seed),
  tokenLife: Number(values['token-life']) * 1000,
  delay: 80,
  aborts: 0.05
}

let isFailed = false
if (!values.json) {
  console.log('| policy | replicas | balancer | mode | calls of the app | lost sessions | stale | 503 | late | token calls | per replica and generation |')
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |')
}
for (const [name, policy] of Object.entries(POLICIES)) {
  if (values.smoke && policy !== 'strict') continue
  for (const [replicas, balancer] of [[1, 'hash'], [3, 'hash'], [3, 'random']] as const) {
    for (const mode of ['server', 'browser'] as const) {
      const options: StormOptions = { ...usual, policy, replicas, balancer, mode }
      const result = await storm(options)
      const { requests, lost, stale, unavailable, wrong, late, tokenCalls } = result
      const most = result.callsPerReplicaAndGeneration
      const isOnce = policy === 'none' || most <= 1
      if (wrong > 0 || !isOnce || (lost > 0 && !mayLose(options))) isFailed = true
      if (values.json) {
        console.log(JSON.stringify({ policy: name, replicas, balancer, mode, ...result }))
        continue
      }
      const cells = [
        name, replicas, replicas === 1 ? '–' : balancer, mode, requests, `${lost} of ${options.sessions}`, stale,
        unavailable, late, tokenCalls, policy === 'none' ? '–' : most
      ]
      console.log(`| ${cells.join(' | ')} |${wrong > 0 ? ` WRONG: ${wrong}` : ''}`)
    }
  }
}
const site: StormOptions = { ...usual, policy: 'strict', replicas: 3, balancer: 'hash', mode: 'server' }
const seconds = values.smoke ? 3 : 60
const { requests, kinds, tokenCalls, lost, recovery } = await outage(site, seconds * 1000)
if (lost > 0 || (!values.smoke && recovery > 5000)) isFailed = true
console.log(`\nOutage of ${seconds} s: ${requests} requests, answered ${kinds.join(', ')}; ${tokenCalls} calls of the ` +
  `token endpoint; ${lost} sessions lost; the last one worked again ${recovery} ms after the return`)
process.exitCode = isFailed ? 1 : 0
