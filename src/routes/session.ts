// What the app may know of its session: who is logged in, until when; and the wish to refresh.
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { hasLiveAccessToken, type OpenedSession } from '../session/session.ts'
import type { SessionState } from '../session/store.ts'
import { createGuard } from '../plugins/guard.ts'
import { endpoint } from './endpoint.ts'
import { createSessionView, sessionViewSchema } from './session-view.ts'

/** What the routes are handed. */
export interface SessionRoutesOptions { readonly config: Config, readonly clock: Clock }

export async function sessionRoutes (app: FastifyInstance, options: SessionRoutesOptions): Promise<void> {
  const { config, clock } = options
  const { sessions } = app
  const { describe, nobody } = createSessionView({ config, clock, activity: sessions.activity })
  const guard = createGuard(config)
  const schema = { response: { 200: sessionViewSchema } }

  endpoint(app, {
    method: 'GET',
    url: '/session',
    schema,
    onRequest: guard,
    handler: async (request, reply) => {
      const state = sessions.read(request)
      const { session } = state
      if (session === null || isOver(session, state)) return nobody
      return describe(session, state, reply)
    }
  })

  endpoint(app, {
    method: 'POST',
    url: '/refresh',
    schema,
    onRequest: guard,
    handler: async (request, reply) => {
      const state = sessions.read(request)
      const { session, setCookies } = await sessions.renewal.refresh(state)
      if (setCookies.length > 0) reply.header('set-cookie', setCookies)
      // What this very answer writes is what holds from now on.
      const isMarked = sessions.activity.isDue(state)
      return describe(session, isMarked ? { ...state, lastActiveAt: unixSeconds(clock) } : state, reply)
    }
  })

  /** A dead access token that nothing can renew: the app must not believe in such a session. */
  function isOver (session: OpenedSession, state: SessionState): boolean {
    const cannotRenew = state.isSpent || !session.hasRefreshToken
    return cannotRenew && !hasLiveAccessToken(session, unixSeconds(clock))
  }
}
