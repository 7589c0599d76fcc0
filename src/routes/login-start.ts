// GET /bff/login: away to the authorization server, by navigation only, and never behind a live session's
// back.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import { LOGIN_PARAMS } from '../oidc/authorize.ts'
import type { LoginFlow } from '../plugins/login-flow.ts'
import { isFramed, isNavigation, isPrefetch, navigationSource } from '../security/navigation.ts'
import { hopPage } from '../security/page.ts'
import { PAGE_HEADERS } from '../security/response-policy.ts'
import { endpoint } from './endpoint.ts'
import { sendOutcome } from './login-outcome.ts'

/** How often a login that got lost starts again by itself. */
export const MAX_ATTEMPTS = 3

export async function startRoutes (
  app: FastifyInstance, options: { config: Config, flow: LoginFlow }
): Promise<void> {
  const { config, flow } = options
  const { sessions } = app

  endpoint(app, {
    method: 'GET',
    url: '/login',
    handler: async (request, reply) => {
      onlyNavigation(request)
      const query = request.query as Record<string, unknown>
      const current = sessions.read(request)
      const source = navigationSource(request.headers)
      const isForeign = source === 'elsewhere' || source === 'sibling' || query.from === 'elsewhere'
      if (isForeign) {
        // LCS-02: another site may send people here, but never swaps the session that they have. Whether
        // they have
        // one is seen on a second request, which this page begins and which therefore brings the Strict
        // cookies.
        if (source === 'elsewhere' && current.session === null && config.cookie.same_site === 'strict') return await hop(reply, query)
        if (current.session !== null && !flow.isStepUp(query)) {
          return await reply.redirect(flow.returnTo(query.return_to), 303)
        }
      }
      const isSilentFrame = isFramed(request.headers) && query.prompt === 'none'
      try {
        const { url, setCookies } = await flow.begin({
          query, current, viaApp: false, silence: isSilentFrame ? 'frame' : 'page', attempt: attemptOf(query.attempt)
        })
        reply.header('set-cookie', setCookies)
        return await reply.redirect(url, 302)
      } catch (error) {
        if (!(error instanceof BullaError)) throw error
        if (isSilentFrame) return await sendOutcome(reply, config, error.code)
        throw error.statusCode < 500 ? error : flow.withWayOn(error, query.return_to)
      }
    }
  })

  async function hop (reply: FastifyReply, query: Readonly<Record<string, unknown>>): Promise<FastifyReply> {
    const known = new URLSearchParams({ from: 'elsewhere' })
    for (const name of ['return_to', 'attempt', ...LOGIN_PARAMS]) {
      for (const value of [query[name]].flat()) if (typeof value === 'string') known.append(name, value)
    }
    return await reply.code(200).headers(PAGE_HEADERS).send(hopPage(`${config.base_path}/login?${known.toString()}`))
  }
}

/**
 * How often a login has been started again, as its address says: 0 to {@link MAX_ATTEMPTS}.
 *
 * @param value of the parameter `attempt`
 */
export function attemptOf (value: unknown): number {
  return typeof value === 'string' && /^[0-3]$/.test(value) ? Number(value) : 0
}

/**
 * Lets navigations pass.
 *
 * @param request any
 * @throws {BullaError} `navigation_required` for a fetch or a prefetch
 */
export function onlyNavigation (request: FastifyRequest): void {
  if (!isNavigation(request.headers) || isPrefetch(request.headers)) {
    throw new BullaError('navigation_required', { detail: 'Navigate the browser to this address; do not fetch or prefetch it.' })
  }
}
