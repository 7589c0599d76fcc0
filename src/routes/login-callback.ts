// The answer of the authorization server: GET, or POST for form_post; ends at the sealed return_to.
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { NOT_SILENTLY } from '../oidc/answer.ts'
import type { Failed, Unknown } from '../plugins/login-end.ts'
import type { LoginFlow } from '../plugins/login-flow.ts'
import { endpoint, refuseOtherMethods } from './endpoint.ts'
import { continueUrl } from './login-continue.ts'
import { onlyNavigation } from './login-start.ts'
import { sendOutcome } from './login-outcome.ts'

/** The most bytes of a posted answer. */
const FORM_LIMIT = 64 * 1024

export async function callbackRoutes (
  app: FastifyInstance, options: { config: Config, flow: LoginFlow }
): Promise<void> {
  const { config, flow } = options
  const { sessions } = app
  const isForm = flow.responseMode(false).startsWith('form_post')
  const methods: HTTPMethods[] = isForm ? ['GET', 'POST'] : ['GET']
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: FORM_LIMIT },
    async (_request: FastifyRequest, body: string) => new URLSearchParams(body))

  const onRequest = async (request: FastifyRequest): Promise<void> => { onlyNavigation(request) }
  endpoint(app, {
    method: 'GET',
    url: '/callback',
    onRequest,
    handler: async (request, reply) => {
      // CBE-13: an answer in the address, where a form is expected, was not made by our provider.
      if (isForm) throw new BullaError('callback_invalid', { cause: new Error('the answer came in the address') })
      const query = request.url.indexOf('?')
      return await callback(request, reply, new URLSearchParams(query < 0 ? '' : request.url.slice(query + 1)))
    }
  }, methods)
  if (isForm) {
    endpoint(app, {
      method: 'POST',
      url: '/callback',
      bodyLimit: FORM_LIMIT,
      onRequest,
      handler: async (request, reply) => {
        const form = request.body as URLSearchParams | undefined
        return await callback(request, reply, form ?? new URLSearchParams())
      }
    }, methods)
  }
  refuseOtherMethods(app, '/callback', methods)

  async function callback (
    request: FastifyRequest, reply: FastifyReply, params: URLSearchParams
  ): Promise<FastifyReply> {
    const ending = await flow.end(params, sessions.cookies.read(request.headers.cookie), false)
    switch (ending.kind) {
      case 'unknown': return await resume(reply, ending)
      case 'failed': return await failed(request, reply, ending)
      case 'done': {
        request.log.info({ sub: ending.session.subject }, 'logged in')
        reply.header('set-cookie', ending.setCookies)
        if (ending.login.silent === 'frame') return await sendOutcome(reply, config, 'ok')
        return await reply.redirect(landing(flow.returnTo(ending.login.returnTo)), 303)
      }
    }
  }

  /**
   * COK-13: this redirect still counts as begun by the provider's site and lacks Strict cookies. Where the
   * target
   * needs them, gated documents and routes, the way on goes through a page of ours.
   */
  function landing (returnTo: string): string {
    return config.spa_gate || flow.isRoute(returnTo) ? continueUrl(config, returnTo) : returnTo
  }

  /**
   * Late, twice, from a bookmark, after a restart, or pushed out by other tabs: whoever has a session by now
   * goes on,
   * whoever has none starts again if the lost login was this browser's. A state that this deployment never
   * gave out
   * is a forgery, and so is an error that nobody waits for: both are refused, and touch no cookie (CBE-05).
   */
  async function resume (reply: FastifyReply, ending: Unknown): Promise<FastifyReply> {
    if (ending.ticket === null || !ending.hasCode) {
      throw new BullaError('callback_invalid', { cause: new Error('no login of this browser is waiting for this answer') })
    }
    const { ticket, mayRestart } = ending
    const attempt = mayRestart ? ticket.attempt : null
    return await reply.redirect(continueUrl(config, flow.returnTo(ticket.returnTo), attempt), 303)
  }

  /**
   * A silent login that found nobody logged in is no error; the live session, if there is one, stays
   * (CBE-03).
   */
  async function failed (
    request: FastifyRequest, reply: FastifyReply, ending: Failed
  ): Promise<FastifyReply> {
    const { login, error, refusal } = ending
    if (login.silent === undefined) throw error
    const isQuiet = NOT_SILENTLY.includes(refusal ?? '')
    if (!isQuiet) request.log.warn({ code: error.code, cause: describeError(error.cause) }, 'a silent login failed')
    if (login.silent === 'page' && !isQuiet) throw error
    reply.header('set-cookie', error.setCookies)
    if (login.silent === 'page') return await reply.redirect(landing(flow.returnTo(login.returnTo)), 303)
    return await sendOutcome(reply, config, isQuiet ? refusal ?? '' : error.code)
  }
}
