// How long a proxy holds up a call when it is half busy, over asking the upstream directly.
import type { Latency } from './paced-load.ts'
import { median } from './statistics.ts'
import { cookiesOf, launchScript, type Target } from './targets.ts'

/** One round: all of them at the same rate, one after the other; the first is the upstream itself. */
export async function latencyRound (
  targets: ReadonlyArray<Pick<Target, 'port' | 'cookies'>>, rate: number, seconds: number
): Promise<Latency[]> {
  const latencies: Latency[] = []
  for (const target of targets) {
    const args = [target.port, rate, seconds, JSON.stringify(cookiesOf(target))].map(String)
    latencies.push((await launchScript<Latency>(1, './paced-load.js', args)).message)
  }
  return latencies
}

/** The table: medians over the rounds, what is added as the median of each round's difference. */
export function latencyTable (names: readonly string[], rounds: ReadonlyArray<readonly Latency[]>): string {
  const of = (pick: (round: readonly Latency[]) => number): string => median(rounds.map(pick)).toFixed(2)
  const rows = names.map((name, index) => {
    const cells = (['p50', 'p99'] as const).map((key) => of((round) => (round[index] as Latency)[key]))
    const added = (['p50', 'p99'] as const).map((key) =>
      index === 0 ? '' : of((round) => (round[index] as Latency)[key] - (round[0] as Latency)[key]))
    return `| ${[name, ...cells, ...added].join(' | ')} |`
  })
  return ['| Target | p50 ms | p99 ms | p50 added | p99 added |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')
}
