// A bench that loads targets, from its options to its end: whatever happens, nothing that it started stays.
import { writeScripts } from './load.ts'
import { endAll, has, startUpstream } from './targets.ts'

/** Whether it is only to be seen that the bench runs. */
export const isSmoke = process.argv.includes('--smoke')

/** `--rounds=4`, `--seconds=2`. */
export function numberOf (name: string, usual: number): number {
  const given = process.argv.find((argument) => argument.startsWith(`--${name}=`))
  return given === undefined ? usual : Number(given.split('=')[1])
}

/**
 * Runs a bench.
 *
 * @param measure gets the upstream's origin
 */
export async function run (measure: (upstream: string) => Promise<void>): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => { endAll().finally(() => process.exit(1)) })
  }
  try {
    if (!has('wrk') || !has('nginx')) throw new Error('this bench needs wrk and nginx')
    writeScripts()
    await measure(await startUpstream())
  } finally {
    await endAll()
  }
}
