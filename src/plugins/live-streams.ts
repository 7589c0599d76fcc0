// Gives the app its register of open event streams and sockets, which end with their session and with
// the process.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Clock } from '../lib/clock.ts'
import { createLiveStreams, type LiveStreams, type StreamSession } from '../proxy/live.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The event streams and sockets that are open, by session; whoever ends a session ends them too. */
    liveStreams: LiveStreams
  }
}

export const liveStreamsPlugin = fp(async function liveStreamsPlugin (
  app: FastifyInstance, options: { clock: Clock }
) {
  const live = createLiveStreams({ clock: options.clock, isOver })
  app.decorate('liveStreams', live)
  app.revocations.onEnded((isEnded) => { live.endWhere(isEnded) })
  app.addHook('preClose', async () => { live.endAll() })

  /** A list that cannot answer keeps nothing open. */
  function isOver (session: StreamSession): boolean {
    try {
      return app.revocations.isRevoked(session)
    } catch {
      return true
    }
  }
}, { name: 'bulla-live-streams', fastify: '5.x', dependencies: ['bulla-revocation'] })
