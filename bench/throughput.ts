// What each proxy manages, interleaved in one run: requests a second, latency added, large bodies:
// `npm run bench:throughput [-- --smoke|--bodies|--rounds=N|--seconds=N|--processes=N|--warm-up=S]`.
import { hasApache, startApache } from './apache.ts'
import { CONNECTIONS } from './call.ts'
import { latencyRound, latencyTable } from './latency.ts'
import { check, flow, measure, STREAMS, type Flow, type Result, type Way } from './load.ts'
import type { Latency } from './paced-load.ts'
import { isSmoke, numberOf, run } from './run.ts'
import { median } from './statistics.ts'
import { BODY, LARGE, startNginx, startTarget, type Target } from './targets.ts'

const ROUNDS = numberOf('rounds', isSmoke ? 1 : 7)
const SECONDS = numberOf('seconds', isSmoke ? 1 : 3)
const PROCESSES = numberOf('processes', isSmoke ? 1 : 3)
const SESSIONS = isSmoke ? 500 : 50_000

/** Seconds before the rounds: `--trace-opt` shows the last function compiled after some ten of full load. */
const WARM_UP = numberOf('warm-up', isSmoke ? 1 : 12)

/** Seconds of large bodies before theirs: V8 changes the size of its young generation meanwhile. */
const BODIES_WARM_UP = isSmoke ? 1 : 6

await run(async (upstream) => {
  const nginx = await startNginx(upstream)
  const pairs: Target[][] = []
  while (pairs.length < PROCESSES) {
    pairs.push([
      await startTarget('http-proxy', upstream, 1), await startTarget('bulla', upstream, 8, 'bulla, few sessions')
    ])
  }
  if (!process.argv.includes('--bodies')) {
    const native = [nginx, ...hasApache ? [await startApache(upstream)] : []]
    const sets: Target[][] = []
    for (const pair of pairs) sets.push([...native, ...pair, ...await others(upstream)])
    const results = await callRounds(sets)
    report(results)
    const rate = Math.round(median((results.get('http-proxy') ?? []).map(({ rate }) => rate)) / 2)
    await latencies(upstream, pairs[0] ?? [], rate)
  }
  for (const way of ['download', 'upload'] as const) await bodies(way, pairs.map((pair) => [nginx, ...pair]))
})

async function others (upstream: string): Promise<Target[]> {
  return [
    await startTarget('undici', upstream, 1),
    await startTarget('bulla', upstream, SESSIONS, `bulla, ${SESSIONS} sessions`),
    await startTarget('express', upstream, 1)
  ]
}

/**
 * The same code is faster in one process than in the next, by what its compiler found worth it: there are
 * several of each, and every round measures each of them.
 */
async function callRounds (sets: ReadonlyArray<readonly Target[]>): Promise<Map<string, Result[]>> {
  const results = new Map((sets[0] ?? []).map(({ name }) => [name, [] as Result[]]))
  for (const target of new Set(sets.flat())) {
    await check(target)
    await warmUp(target)
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const target of sets.flat()) results.get(target.name)?.push(await measure(target, SECONDS))
    process.stderr.write(`calls: round ${round + 1} of ${ROUNDS}\n`)
  }
  return results
}

/**
 * Until the compiler is done and each session came twice: what knows a session again is other code than what
 * opens it for the first time, and is not run, and not compiled, before.
 */
async function warmUp (target: Target): Promise<void> {
  let calls = 0
  do calls += (await measure(target, WARM_UP)).requests
  while (calls < 2 * target.sessions)
}

function report (results: ReadonlyMap<string, readonly Result[]>): void {
  const base = results.get('http-proxy') ?? []
  console.log(`\n${ROUNDS} rounds of ${SECONDS} s over ${PROCESSES} processes of each, ${CONNECTIONS} connections, ` +
    `${BODY.length} bytes of body; one core for the proxy\n`)
  console.log('| Target | requests/s | p50 ms | p99 ms | × bare http-proxy | requests per CPU second | × bare |\n| --- | --- | --- | --- | --- | --- | --- |')
  for (const [name, rounds] of results) {
    const column = (pick: (result: Result) => number): number => median(rounds.map(pick))
    console.log(`| ${name} | ${column(({ rate }) => rate).toFixed(0)} | ${column(({ p50 }) => p50).toFixed(1)} | ` +
      `${column(({ p99 }) => p99).toFixed(1)} | ${ratio(rounds, base, 'rate').toFixed(2)} | ` +
      `${column(({ perCpuSecond }) => perCpuSecond).toFixed(0)} | ${ratio(rounds, base, 'perCpuSecond').toFixed(2)} |`)
  }
  const few = results.get('bulla, few sessions') ?? []
  console.log('\n| Target of product.md | wanted | requests/s | per CPU second | |\n| --- | --- | --- | --- | --- |')
  const row = (name: string, wanted: number, ours: readonly Result[], theirs: readonly Result[]): void => {
    const measured = ratio(ours, theirs, 'rate')
    const verdict = measured >= wanted ? 'holds' : 'falls short'
    console.log(`| ${name} | ≥ ${wanted} | ${measured.toFixed(2)} | ${ratio(ours, theirs, 'perCpuSecond').toFixed(2)} | ${verdict} |`)
  }
  row('few sessions against bare http-proxy', 1.7, few, base)
  row(`${SESSIONS} sessions against bare http-proxy`, 1.4, results.get(`bulla, ${SESSIONS} sessions`) ?? [], base)
  row('against express-openid-connect + http-proxy-middleware', 6, few, results.get('express') ?? [])
  const apache = results.get('mod_auth_openidc')
  if (apache !== undefined) row('against Apache mod_auth_openidc client-cookie, one core each', 3, few, apache)
  else console.log('\nmod_auth_openidc is measured only where Apache and the module are installed; this run did not measure it.')
}

async function latencies (upstream: string, targets: readonly Target[], rate: number): Promise<void> {
  const direct = { port: Number(new URL(upstream).port), cookies: null }
  const rounds: Latency[][] = []
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push(await latencyRound([direct, ...targets], rate, SECONDS))
    process.stderr.write(`latency: round ${round + 1} of ${ROUNDS}\n`)
  }
  console.log(`\nLatency at ${rate} requests/s, half of what bare http-proxy manages: ${ROUNDS} rounds of ${SECONDS} s\n`)
  console.log(latencyTable(['upstream, directly', ...targets.map(({ name }) => name)], rounds))
}

async function bodies (way: Way, sets: ReadonlyArray<readonly Target[]>): Promise<void> {
  const flows = new Map((sets[0] ?? []).map(({ name }) => [name, [] as Flow[]]))
  for (const target of new Set(sets.flat())) await flow(target, way, BODIES_WARM_UP)
  for (let round = 0; round < ROUNDS; round++) {
    for (const target of sets.flat()) flows.get(target.name)?.push(await flow(target, way, SECONDS))
    process.stderr.write(`${way}s: round ${round + 1} of ${ROUNDS}\n`)
  }
  const base = flows.get('http-proxy') ?? []
  console.log(`\n${LARGE / 1024 / 1024} MiB ${way}s: ${ROUNDS} rounds of ${SECONDS} s over ${PROCESSES} processes of each, ` +
    `${STREAMS} connections\n`)
  console.log('| Target | MB/s | × bare http-proxy | MB per CPU second | × bare |\n| --- | --- | --- | --- | --- |')
  for (const [name, rounds] of flows) {
    console.log(`| ${name} | ${median(rounds.map(({ rate }) => rate)).toFixed(0)} | ${ratio(rounds, base, 'rate').toFixed(2)} | ` +
      `${median(rounds.map(({ perCpuSecond }) => perCpuSecond)).toFixed(0)} | ${ratio(rounds, base, 'perCpuSecond').toFixed(2)} |`)
  }
}

/** The median of the ratios of each round: what slows the machine down slows both. */
function ratio<K extends string> (
  rounds: ReadonlyArray<Record<K, number>>, base: ReadonlyArray<Record<K, number>>, key: K
): number {
  return median(rounds.map((round, index) => round[key] / (base[index]?.[key] ?? Number.NaN)))
}
