// `bulla serve`: listens until it is told to stop, then ends what is in flight.
import { loadConfig } from '../config/load.ts'
import { describeError } from '../lib/redact.ts'
import { buildServer } from '../server.ts'
import type { CliContext, CliOptions } from './run.ts'

/**
 * Starts the server; it runs until SIGTERM or SIGINT.
 *
 * @param context the process
 * @param options of the command line
 * @returns 0 once it listens, 1 if it cannot
 * @throws {ConfigError} if the configuration is wrong
 */
export async function serveCommand (context: CliContext, options: CliOptions): Promise<number> {
  const file = options.config === undefined ? {} : { file: options.config }
  const config = loadConfig({ env: context.env, ...file })
  const server = await buildServer(config)
  try {
    const { url, adminUrl } = await server.listen()
    const keys = server.app.sessions.kids()
    server.app.log.info({ url, admin: adminUrl, public_url: config.public_url, keys }, 'listening')
  } catch (error) {
    context.err(`bulla: cannot listen: ${(error as Error).message}`)
    await server.close()
    return 1
  }
  context.whenStopped(async (fault) => {
    if (fault !== undefined) server.app.log.fatal({ cause: describeError(fault), stack: fault.stack }, 'ended by a fault')
    await server.close()
  })
  return 0
}
