// GET /bff/login/continue: finds out, on a request that brings Strict cookies, whether there is a session,
// and goes on.
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import type { LoginFlow } from '../plugins/login-flow.ts'
import { navigationSource } from '../security/navigation.ts'
import { hopPage } from '../security/page.ts'
import { PAGE_HEADERS } from '../security/response-policy.ts'
import { endpoint } from './endpoint.ts'
import { attemptOf, MAX_ATTEMPTS, onlyNavigation } from './login-start.ts'

/**
 * The address that goes on to `returnTo`, or starts the login again if there is no session.
 *
 * @param config gives the base path
 * @param returnTo an acceptable local path
 * @param attempt how often the login has been started again so far; `null`: it must not start again by itself
 */
export function continueUrl (config: Config, returnTo: string, attempt: number | null = 0): string {
  const query = new URLSearchParams({ return_to: returnTo })
  if (attempt !== null) query.set('attempt', String(attempt))
  return `${config.base_path}/login/continue?${query.toString()}`
}

export async function continueRoutes (
  app: FastifyInstance, options: { config: Config, flow: LoginFlow }
): Promise<void> {
  const { config, flow } = options
  const { sessions } = app

  endpoint(app, {
    method: 'GET',
    url: '/login/continue',
    handler: async (request, reply) => {
      onlyNavigation(request)
      const query = request.query as Record<string, unknown>
      const returnTo = flow.returnTo(query.return_to)
      const attempt = query.attempt === undefined ? null : attemptOf(query.attempt)
      const source = navigationSource(request.headers)
      // A typed address counts as `none` through all its redirects, the provider's included: only a
      // navigation that
      // a page of this site began surely brings Strict cookies.
      const isOwn = source === 'own' || source === 'sibling' || query.hop === '1'
      if (!isOwn) {
        return await reply.code(200).headers(PAGE_HEADERS).send(hopPage(`${continueUrl(config, returnTo, attempt)}&hop=1`))
      }
      if (sessions.read(request).session !== null) return await reply.redirect(returnTo, 303)
      if (attempt === null) throw flow.withWayOn(new BullaError('callback_invalid'), returnTo)
      if (attempt >= MAX_ATTEMPTS) throw flow.withWayOn(new BullaError('login_expired'), returnTo)
      const again = new URLSearchParams({ return_to: returnTo, attempt: String(attempt + 1) })
      return await reply.redirect(`${config.base_path}/login?${again.toString()}`, 302)
    }
  })
}
