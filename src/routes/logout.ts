// Logout: the session ends here, its tokens are revoked, and the way to the provider's own logout is handed out.
import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { endSessionUrl, revokeTokens } from '../oidc/logout.ts'
import type { Session } from '../session/session.ts'
import { refusal, type GuardPolicy } from '../security/csrf.ts'
import { isNavigation } from '../security/navigation.ts'
import { endpoint } from './endpoint.ts'

export async function logoutRoutes (app: FastifyInstance, options: { config: Config }): Promise<void> {
  const { config } = options
  const { oidc, sessions } = app
  const policy: GuardPolicy = { mode: 'header', header: config.csrf.header.toLowerCase(), origin: config.public_url }

  app.addContentTypeParser('application/x-www-form-urlencoded', { bodyLimit: 16_384, parseAs: 'buffer' }, async () => null)

  endpoint(app, {
    method: 'POST',
    url: '/logout',
    onRequest: async (request) => {
      const mode = isNavigation(request.headers) ? 'fetch-metadata' : 'header'
      const code = refusal({ ...policy, mode }, request.method, request.headers)
      if (code !== null) throw new BullaError(code)
    },
    handler: async (request, reply) => {
      const { session, own } = sessions.read(request)
      reply.header('set-cookie', await sessions.store.end(session, own))
      reply.header('clear-site-data', '"cache", "storage"')
      const url = session === null ? null : await leave(request, session)
      return await answer(request, reply, url)
    }
  })

  endpoint(app, {
    method: 'GET',
    url: '/logged-out',
    handler: async (_request, reply) => await reply.redirect(config.post_logout_page, 303)
  })

  /** The provider is told in the background; whatever it answers, the session is over here. */
  async function leave (request: FastifyRequest, session: Session): Promise<string | null> {
    const metadata = oidc.provider.known
    if (metadata === null) return null
    void revokeTokens(metadata, oidc.client, session, (error) => {
      request.log.warn({ cause: describeError(error) }, 'a token could not be revoked at logout')
    })
    return endSessionUrl({
      metadata,
      clientId: config.client_id,
      idToken: session.idToken,
      postLogoutRedirectUri: oidc.postLogoutRedirectUri,
      state: randomBytes(16).toString('base64url')
    })
  }

  async function answer (request: FastifyRequest, reply: FastifyReply, url: string | null): Promise<FastifyReply> {
    if (isNavigation(request.headers)) return await reply.redirect(url ?? config.post_logout_page, 303)
    return await reply.send({ logout_url: url })
  }
}
