// What Bulla keeps while 100,000 sessions call in turn: `npm run bench:memory [-- --smoke|--requests=N]`.
import { existsSync, readFileSync } from 'node:fs'
import { check, measure } from './load.ts'
import { isSmoke, numberOf, run } from './run.ts'
import { startTarget, type Target } from './targets.ts'

const SESSIONS = isSmoke ? 2_000 : 100_000
const REQUESTS = numberOf('requests', isSmoke ? 20_000 : 5_000_000)
const SECONDS = isSmoke ? 1 : 10

/** What product.md section 10 allows: MB, and how much more the second half may hold than the first. */
const MOST_MEGABYTES = 150
const MOST_GROWTH = isSmoke ? 1.5 : 1.1

/** MB after a collection: what the program holds, and what is its own in the memory of the machine. */
interface Sample { readonly held: number, readonly own: number, readonly resident: number }

await run(async (upstream) => {
  const bulla = await startTarget('bulla', upstream, SESSIONS)
  await check(bulla)
  console.log('| requests | held MB | own MB | resident MB |\n| ---: | ---: | ---: | ---: |')
  const samples: Sample[] = []
  let requests = 0
  while (requests < REQUESTS) {
    requests += Math.round((await measure(bulla, SECONDS)).rate * SECONDS)
    const sample = await memoryOf(bulla)
    samples.push(sample)
    const { held, own, resident } = sample
    console.log(`| ${[requests, ...[held, own, resident].map((megabytes) => megabytes.toFixed(0))].join(' | ')} |`)
  }
  report(requests, samples)
})

async function memoryOf ({ process: child }: Target): Promise<Sample> {
  const { heapUsed, external, rss } = await new Promise<NodeJS.MemoryUsage>((resolve) => {
    child.once('message', resolve as (message: unknown) => void)
    child.send('memory')
  })
  return { held: (heapUsed + external) / 1e6, own: ownBytes(child.pid, rss) / 1e6, resident: rss / 1e6 }
}

/** Without the pages of files, such as those of node itself, which the machine shares and can take back. */
function ownBytes (pid: number | undefined, rss: number): number {
  const file = `/proc/${pid}/status`
  const kilobytes = existsSync(file) ? /RssAnon:\s+(\d+)/.exec(readFileSync(file, 'utf8'))?.[1] : undefined
  return kilobytes === undefined ? rss : Number(kilobytes) * 1024
}

/** The first fifth is for warming up. */
function report (requests: number, samples: readonly Sample[]): void {
  const warm = samples.slice(Math.floor(samples.length / 5))
  const half = Math.ceil(warm.length / 2)
  const mean = (part: readonly Sample[]): number =>
    part.reduce((sum, { held }) => sum + held, 0) / part.length
  const [before, after] = [mean(warm.slice(0, half)), mean(warm.slice(-half))]
  const most = Math.max(...warm.map(({ own }) => own))
  console.log(`\n${requests} requests of ${SESSIONS} sessions in turn\n`)
  const rows: Array<[string, string, boolean]> = [
    ['held, first and second half', `${before.toFixed(1)} → ${after.toFixed(1)} MB`, after < before * MOST_GROWTH],
    ['own, the most', `${most.toFixed(0)} MB`, most < MOST_MEGABYTES]
  ]
  for (const [what, measured, holds] of rows) {
    console.log(`| ${what} | ${measured} | ${holds ? 'holds' : 'FALLS SHORT'} |`)
  }
  process.exitCode = rows.every(([, , holds]) => holds) ? 0 : 1
}
