// POST /bff/login/start and /end: logins that the app drives itself, its own page taking the answer.
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Config } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { NOT_SILENTLY } from '../oidc/answer.ts'
import { createGuard } from '../plugins/guard.ts'
import type { LoginFlow } from '../plugins/login-flow.ts'
import { openedOf } from '../session/opened-session.ts'
import { endpoint } from './endpoint.ts'
import { createSessionView, sessionViewSchema } from './session-view.ts'

const ended = Type.Object({
  handled: Type.Boolean(),
  return_to: Type.Optional(Type.String()),
  session: Type.Optional(sessionViewSchema)
})

/** A page's URL with a signed answer in it. */
const MAX_BODY = 32 * 1024

export async function appLoginRoutes (
  app: FastifyInstance, options: { config: Config, clock: Clock, flow: LoginFlow }
): Promise<void> {
  const { config, clock, flow } = options
  const { sessions } = app
  const guard = createGuard(config)
  const { describe, nobody } = createSessionView({ config, clock, activity: sessions.activity })
  const isSigned = flow.responseMode(true) === 'jwt'
  const pageOrigin = new URL(config.spa_redirect_uri ?? '', config.public_url).origin

  endpoint(app, {
    method: 'POST',
    url: '/login/start',
    bodyLimit: MAX_BODY,
    schema: { response: { 200: Type.Object({ authorization_url: Type.String() }) } },
    onRequest: guard,
    handler: async (request, reply) => {
      const { url, setCookies } = await flow.begin({
        query: bodyOf(request.body), current: sessions.read(request), viaApp: true, silence: 'page', attempt: 0
      })
      reply.header('set-cookie', setCookies)
      return { authorization_url: url }
    }
  })

  endpoint(app, {
    method: 'POST',
    url: '/login/end',
    bodyLimit: MAX_BODY,
    schema: { response: { 200: ended } },
    onRequest: guard,
    handler: async (request, reply) => {
      const params = answerOf(bodyOf(request.body).url, pageOrigin, isSigned)
      if (params === null) return { handled: false }
      const current = sessions.read(request)
      const ending = await flow.end(params, current.own, true)
      if (ending.kind === 'unknown') {
        // The page was loaded again: the login that it speaks of is done, and its session is here.
        if (ending.ticket === null || current.session === null) {
          throw new BullaError('callback_invalid', { cause: new Error('no login of this browser is waiting for this answer') })
        }
        const session = describe(current.session, current, reply)
        return { handled: true, return_to: flow.returnTo(ending.ticket.returnTo), session }
      }
      const returnTo = flow.returnTo(ending.login.returnTo)
      if (ending.kind === 'failed') {
        if (ending.login.silent === undefined || !NOT_SILENTLY.includes(ending.refusal ?? '')) throw ending.error
        reply.header('set-cookie', ending.error.setCookies)
        const session = current.session === null ? nobody : describe(current.session, current, reply)
        return { handled: true, return_to: returnTo, session }
      }
      request.log.info({ sub: ending.session.subject }, 'logged in')
      reply.header('set-cookie', ending.setCookies)
      const now = config.session.idle_timeout > 0 ? { lastActiveAt: unixSeconds(clock) } : {}
      const session = openedOf(ending.session)
      const state = { session, error: null, isSpent: false, own: current.own, ...now }
      return { handled: true, return_to: returnTo, session: describe(session, state, reply) }
    }
  })
}

function bodyOf (body: unknown): Readonly<Record<string, unknown>> {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>
  throw new BullaError('bad_request', { detail: 'The body must be a JSON object.' })
}

/**
 * The answer in a page's address.
 *
 * @returns its parameters, or `null` if the address is another origin's or holds no answer
 */
function answerOf (value: unknown, origin: string, isSigned: boolean): URLSearchParams | null {
  if (typeof value !== 'string') throw new BullaError('bad_request', { detail: 'url must be the URL of the page.' })
  const url = URL.canParse(value) ? new URL(value) : null
  if (url === null || url.origin !== origin) return null
  const params = url.searchParams
  const has = (name: string): boolean => (params.get(name) ?? '') !== ''
  const isAnswer = (isSigned && has('response')) || (has('state') && (has('code') || has('error')))
  return isAnswer ? params : null
}
