// What the app may know of its session: who is logged in, until when; and the wish to refresh.
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Type } from 'typebox'
import type { Config } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { hasLiveAccessToken, refreshDueAt, sessionEnd, type Session } from '../session/session.ts'
import type { SessionState } from '../session/store.ts'
import { createGuard } from '../plugins/guard.ts'
import { endpoint } from './endpoint.ts'

const sessionView = Type.Object({
  authenticated: Type.Boolean(),
  login_url: Type.Optional(Type.String()),
  sub: Type.Optional(Type.String()),
  claims: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  sid: Type.Optional(Type.String()),
  issued_at: Type.Optional(Type.Integer()),
  expires_at: Type.Optional(Type.Integer()),
  idle_expires_at: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  access_token_expires_at: Type.Optional(Type.Integer()),
  scope: Type.Optional(Type.String()),
  logout_url: Type.Optional(Type.String())
})

/** What the routes are handed. */
export interface SessionRoutesOptions { readonly config: Config, readonly clock: Clock }

export async function sessionRoutes (app: FastifyInstance, options: SessionRoutesOptions): Promise<void> {
  const { config, clock } = options
  const { mode, ahead } = config.refresh
  const { sessions } = app
  const base = `${config.public_url}${config.base_path}`
  const guard = createGuard(config)
  const schema = { response: { 200: sessionView } }

  endpoint(app, {
    method: 'GET',
    url: '/session',
    schema,
    onRequest: guard,
    handler: async (request, reply) => {
      const state = sessions.read(request)
      const { session } = state
      if (session === null || isOver(session, state)) return { authenticated: false, login_url: `${base}/login` }
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
      return describe(session, state, reply)
    }
  })

  /** A dead access token that nothing can renew: the app must not believe in such a session. */
  function isOver (session: Session, state: SessionState): boolean {
    const cannotRenew = state.isSpent || session.refreshToken === undefined
    return cannotRenew && !hasLiveAccessToken(session, unixSeconds(clock))
  }

  function describe (session: Session, state: SessionState, reply: FastifyReply): object {
    if (mode === 'browser') {
      // The browser's own clock may be wrong: it is told how long, not when.
      const seconds = refreshDueAt(session, ahead) - unixSeconds(clock)
      const isPossible = session.refreshToken !== undefined && !(state.isSpent && session === state.session)
      if (isPossible) reply.header('bulla-refresh-in', Math.max(0, seconds))
    }
    return {
      authenticated: true,
      sub: session.subject,
      claims: session.claims,
      sid: session.sid,
      issued_at: session.createdAt,
      expires_at: sessionEnd(session),
      idle_expires_at: sessions.activity.idleEnd(state),
      access_token_expires_at: session.accessTokenExpiresAt,
      scope: session.scope ?? config.scope,
      logout_url: `${base}/logout`
    }
  }
}
