// Login and callback: away to the authorization server and back, as navigations.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import type { Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { allowedParams, authorizationUrl } from '../oidc/authorize.ts'
import { finishLogin } from '../oidc/callback.ts'
import { createLoginState, loginId, type LoginState } from '../oidc/login-state.ts'
import { isNavigation, isPrefetch } from '../security/navigation.ts'
import { acceptedReturnTo, type ReturnToPolicy } from '../security/return-to.ts'
import { endpoint } from './endpoint.ts'

/** What the routes are handed. */
export interface LoginRoutesOptions { readonly config: Config, readonly clock: Clock }

export async function loginRoutes (app: FastifyInstance, options: LoginRoutesOptions): Promise<void> {
  const { config, clock } = options
  const { oidc, sessions } = app
  const returnToPolicy: ReturnToPolicy = {
    origin: config.public_url,
    forbidden: [config.base_path, ...config.routes.filter((route) => route.csrf === 'header').map((route) => route.prefix)]
  }
  const returnToOf = (value: unknown): string =>
    (typeof value === 'string' ? acceptedReturnTo(value, returnToPolicy) : null) ?? config.default_return_to

  endpoint(app, {
    method: 'GET',
    url: '/login',
    handler: async (request, reply) => {
      onlyNavigation(request)
      const query = request.query as Record<string, unknown>
      if (Array.isArray(query.return_to)) throw new BullaError('bad_request', { detail: 'return_to must be given once.' })
      const params = allowedParams(query, config.login_params)
      const login = createLoginState(returnToOf(query.return_to))
      const url = await authorizationUrl({
        metadata: await oidc.provider.metadata(),
        clientId: config.client_id,
        redirectUri: oidc.redirectUri,
        scope: config.scope,
        constants: config.authorization_params,
        params,
        login
      })
      const own = sessions.cookies.read(request.headers.cookie)
      reply.header('set-cookie', await sessions.logins.write(loginId(login.state) ?? '', login, own))
      return await reply.redirect(url, 302)
    }
  })

  endpoint(app, {
    method: 'GET',
    url: '/callback',
    handler: async (request, reply) => {
      onlyNavigation(request)
      const params = new URLSearchParams(request.url.slice(request.url.indexOf('?') + 1))
      return await callback(request, reply, params)
    }
  })

  async function callback (request: FastifyRequest, reply: FastifyReply, params: URLSearchParams): Promise<FastifyReply> {
    refuseRepeated(params)
    const own = sessions.cookies.read(request.headers.cookie)
    const id = loginId(params.get('state'))
    const kept = id === null ? null : sessions.logins.read(id, own)
    if (id === null || kept === null) throw new BullaError('callback_invalid')
    const clear = sessions.logins.clear(id)
    if (kept === 'expired') throw new BullaError('login_expired', { setCookies: [clear] })
    const login = kept as LoginState
    try {
      const session = app.revocations.admit(await finishLogin(params, login, {
        provider: oidc.provider,
        client: oidc.client,
        clock,
        redirectUri: oidc.redirectUri,
        algorithms: config.id_token_signing_alg,
        claims: config.claims,
        maxAge: config.session.max_age
      }))
      const setCookies = await sessions.store.write(session, null).catch((error: unknown) => {
        app.revocations.revokeTokens(session)
        throw error
      })
      request.log.info({ sub: session.subject }, 'logged in')
      reply.header('set-cookie', [...setCookies, clear])
      return await reply.redirect(returnToOf(login.returnTo), 303)
    } catch (error) {
      if (!(error instanceof BullaError)) throw error
      throw error.withCookies([clear])
    }
  }
}

function onlyNavigation (request: FastifyRequest): void {
  if (!isNavigation(request.headers) || isPrefetch(request.headers)) {
    throw new BullaError('navigation_required', { detail: 'Navigate the browser to this address; do not fetch or prefetch it.' })
  }
}

/** RFC 6749 section 3.1: no parameter comes twice. */
function refuseRepeated (params: URLSearchParams): void {
  for (const name of new Set(params.keys())) {
    if (params.getAll(name).length > 1) throw new BullaError('callback_invalid', { detail: 'A parameter came twice.' })
  }
}
