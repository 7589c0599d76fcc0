// Starts a Bulla that listens on loopback for one test, and ends it with the test.
import { randomBytes } from 'node:crypto'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { buildServer, type Dependencies, type Server } from '../../src/server.ts'

/** What a test hands over of itself. */
export interface Teardown { teardown (end: () => unknown): void }

/** What differs from the usual; `settings` win over everything. */
export interface BuildOptions {
  /** The provider to log in at; its client is used. */
  readonly provider?: { readonly issuer: string, readonly clientId: string, readonly clientSecret: string }
  readonly settings?: Readonly<Record<string, unknown>>
  readonly deps?: Dependencies
  /** The port to listen on. Default: a free one. */
  readonly port?: number
}

/** A running Bulla. */
export interface Built {
  readonly server: Server
  readonly app: Server['app']
  readonly config: Config
  /** The public origin, `http://localhost:PORT`. */
  readonly url: string
  readonly adminUrl: string
}

/** A random ring key. */
export function ringKey (): string {
  return randomBytes(32).toString('base64url')
}

/** A port that is free now. */
export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** How often a free port is looked for: another test may take it before it is listened on. */
const ATTEMPTS = 5

/**
 * Starts a Bulla.
 *
 * @param t ends it
 * @param options what differs from the usual
 */
export async function build (t: Teardown, options: BuildOptions = {}): Promise<Built> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await buildOnce(t, options)
    } catch (error) {
      const isTaken = options.port === undefined && (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      if (!isTaken || attempt === ATTEMPTS) throw error
    }
  }
}

async function buildOnce (t: Teardown, options: BuildOptions): Promise<Built> {
  const port = options.port ?? await freePort()
  const url = `http://localhost:${port}`
  const config = loadConfig({
    settings: {
      public_url: url,
      host: '127.0.0.1',
      port,
      issuer: options.provider?.issuer ?? 'http://127.0.0.1:9',
      client_id: options.provider?.clientId ?? 'app',
      client_secret: options.provider?.clientSecret ?? 'a-client-secret-of-a-test',
      keys: [ringKey()],
      admin: { port: 0 },
      ...options.settings
    }
  })
  const server = await buildServer(config, { logger: false, ...options.deps })
  t.teardown(async () => { await server.close() })
  const { adminUrl } = await server.listen()
  return { server, app: server.app, config, url, adminUrl: adminUrl ?? '' }
}
