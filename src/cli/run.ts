// Which command was meant, and what it says when it was none.
import { parseArgs } from 'node:util'
import { ConfigError } from '../config/load.ts'
import { keysCommand } from './keys.ts'

/** What a command is handed of the process. */
export interface CliContext {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  out (text: string): void
  err (text: string): void
  /** All of standard input. */
  input (): Promise<string>
  /** Calls back once when the process is told to stop, or a fault ends it. */
  whenStopped (stop: (fault?: Error) => Promise<void>): void
}

/** The options of the command line. */
export interface CliOptions { readonly config?: string, readonly json: boolean, readonly stage?: string }

const USAGE = `bulla: the stateless Backend-for-Frontend

  bulla [serve]          start the server
  bulla keys generate    print a new key for BULLA_KEYS
  bulla keys list        the keys of the ring, by their ids
  bulla keys rotate --stage publish|activate|retire
                         one step of replacing the key that seals
  bulla open [COOKIE]    what a sealed cookie holds, tokens masked

  --config FILE          a YAML or JSON configuration file (or BULLA_CONFIG)
  --json                 machine-readable output
  --help                 this text`

/**
 * Runs a command.
 *
 * @param context the process
 * @returns the exit code: 0, 1 for a fault, 2 for a wrong call
 */
export async function runCli (context: CliContext): Promise<number> {
  const parsed = parse(context)
  if (parsed === null) return 2
  const { options, words } = parsed
  const [command = 'serve', ...rest] = words
  try {
    if (command === 'serve' && rest.length === 0) {
      // The server is loaded by the command that needs it only: the others answer at once.
      const { serveCommand } = await import('./serve.ts')
      return await serveCommand(context, options)
    }
    if (command === 'keys') return keysCommand(context, options, rest)
    if (command === 'open') {
      const { openCommand } = await import('./open.ts')
      return await openCommand(context, options, rest)
    }
    if (command === 'help') {
      context.out(USAGE)
      return 0
    }
    context.err(`bulla: no such command: ${words.join(' ')}\n\n${USAGE}`)
    return 2
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    context.err(error.message)
    return 1
  }
}

function parse (context: CliContext): { options: CliOptions, words: string[] } | null {
  try {
    const { values, positionals } = parseArgs({
      args: [...context.args],
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        json: { type: 'boolean' },
        stage: { type: 'string' },
        help: { type: 'boolean', short: 'h' }
      }
    })
    const options: CliOptions = {
      json: values.json === true,
      ...(values.config === undefined ? {} : { config: values.config }),
      ...(values.stage === undefined ? {} : { stage: values.stage })
    }
    return { options, words: values.help === true ? ['help'] : positionals }
  } catch (error) {
    context.err(`bulla: ${(error as Error).message}\n\n${USAGE}`)
    return null
  }
}
