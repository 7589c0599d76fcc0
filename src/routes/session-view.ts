// What the app may know of its session: the same view for /bff/session, /bff/refresh and /bff/login/end.
import { Type } from 'typebox'
import type { Config } from '../config/schema.ts'
import type { Session } from '../session/session.ts'

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

/**
 * Creates the view.
 *
 * @param config gives the addresses
 * @returns what the app may know of a session, or of there being none
 */
export function createSessionView (config: Config): (session: Session | null) => object {
  const base = `${config.public_url}${config.base_path}`
  return (session) => session === null
    ? { authenticated: false, login_url: `${base}/login` }
    : {
        authenticated: true,
        sub: session.subject,
        claims: session.claims,
        sid: session.sid,
        issued_at: session.createdAt,
        expires_at: session.expiresAt,
        idle_expires_at: null,
        access_token_expires_at: session.accessTokenExpiresAt,
        scope: session.scope ?? config.scope,
        logout_url: `${base}/logout`
      }
}
