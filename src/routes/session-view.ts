// What the app may know of its session: the same view for /bff/session, /bff/refresh and /bff/login/end.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import type { Config } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import type { Activity } from '../session/companions.ts'
import { refreshDueAt, sessionEnd, type OpenedSession } from '../session/session.ts'
import type { SessionState } from '../session/store.ts'

/** The response schema. */
export const sessionViewSchema = Type.Object({
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

/** What the view is made of. */
export interface SessionViewOptions {
  readonly config: Config
  readonly clock: Clock
  readonly activity: Activity
}

/** The view of a session, and of there being none. */
export interface SessionView {
  readonly nobody: object
  /** The view of a session; in browser mode the reply also says when to refresh. */
  describe (session: OpenedSession, state: SessionState, reply: FastifyReply): object
}

/**
 * Creates the view.
 *
 * @param options what it is made of
 */
export function createSessionView (options: SessionViewOptions): SessionView {
  const { config, clock, activity } = options
  const { mode, ahead } = config.refresh
  const { base_path: base } = config

  function describe (session: OpenedSession, state: SessionState, reply: FastifyReply): object {
    const { claims, scope } = session.whole()
    if (mode === 'browser') {
      // The browser's own clock may be wrong: it is told how long, not when.
      const seconds = refreshDueAt(session, ahead) - unixSeconds(clock)
      const isPossible = session.hasRefreshToken && !(state.isSpent && session === state.session)
      if (isPossible) reply.header('bulla-refresh-in', Math.max(0, seconds))
    }
    return {
      authenticated: true,
      sub: session.subject,
      claims,
      sid: session.sid,
      issued_at: session.createdAt,
      expires_at: sessionEnd(session),
      idle_expires_at: activity.idleEnd(state),
      access_token_expires_at: session.accessTokenExpiresAt,
      scope: scope ?? config.scope,
      logout_url: `${base}/logout`
    }
  }

  return { nobody: { authenticated: false, login_url: `${base}/login` }, describe }
}
