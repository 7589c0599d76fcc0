// Runs a command of the command line in this process.
import { runCli } from '../../src/cli/run.ts'

/** What a command did. */
export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
  /** Tells a server that was started to stop, as a signal would, or as a fault. */
  stop (fault?: Error): Promise<void>
}

/**
 * Runs a command.
 *
 * @param args of the command line
 * @param env the environment
 * @param input all of standard input
 */
export async function runBulla (args: string[], env: Record<string, string> = {}, input = ''): Promise<Outcome> {
  const [out, err]: [string[], string[]] = [[], []]
  let stop: Outcome['stop'] = async () => {}
  const code = await runCli({
    args,
    env,
    out: (text) => { out.push(text) },
    err: (text) => { err.push(text) },
    input: async () => input,
    whenStopped: (given) => { stop = given }
  })
  return { code, out: out.join('\n'), err: err.join('\n'), stop }
}
