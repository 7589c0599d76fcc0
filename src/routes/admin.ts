// The admin listener: alive, ready and why not, for the orchestrator and never for browsers.
import type { FastifyInstance } from 'fastify'

/** What readiness is told from. */
export interface AdminRoutesOptions {
  /** Whether the authorization server's metadata is known. */
  readonly isProviderKnown: () => boolean
  /** The fingerprints of the key ring, the sealing key first. */
  readonly kids: () => readonly string[]
  readonly issuer: string
}

export async function adminRoutes (app: FastifyInstance, options: AdminRoutesOptions): Promise<void> {
  app.get('/livez', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const known = options.isProviderKnown()
    reply.code(known ? 200 : 503)
    return {
      status: known ? 'ok' : 'waiting',
      issuer: { url: options.issuer, status: known ? 'ok' : 'unavailable' },
      keys: options.kids()
    }
  })
}
