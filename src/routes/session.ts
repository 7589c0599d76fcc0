// What the app may know of its session: who is logged in, until when; and the wish to refresh.
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Config } from '../config/schema.ts'
import type { Session } from '../session/session.ts'
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

export async function sessionRoutes (app: FastifyInstance, options: { config: Config }): Promise<void> {
  const { config } = options
  const { sessions } = app
  const base = `${config.public_url}${config.base_path}`
  const guard = createGuard(config)
  const schema = { response: { 200: sessionView } }

  endpoint(app, {
    method: 'GET',
    url: '/session',
    schema,
    onRequest: guard,
    handler: async (request) => {
      const { session } = sessions.read(request)
      return session === null ? { authenticated: false, login_url: `${base}/login` } : describe(session)
    }
  })

  endpoint(app, {
    method: 'POST',
    url: '/refresh',
    schema,
    onRequest: guard,
    handler: async (request, reply) => {
      const { session, setCookies } = await sessions.renewal.renew(sessions.read(request))
      if (setCookies.length > 0) reply.header('set-cookie', setCookies)
      return describe(session)
    }
  })

  function describe (session: Session): object {
    return {
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
}
