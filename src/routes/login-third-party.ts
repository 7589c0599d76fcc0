// GET and POST /bff/login/initiate: a login that the provider or a portal starts; off unless the deployment
// wants it.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import type { LoginFlow } from '../plugins/login-flow.ts'
import { endpoint, refuseOtherMethods } from './endpoint.ts'
import { onlyNavigation } from './login-start.ts'

/** The most bytes of a posted request. */
const FORM_LIMIT = 16 * 1024

/** @see https://openid.net/specs/openid-connect-core-1_0.html#ThirdPartyInitiatedLogin */
export async function thirdPartyRoutes (
  app: FastifyInstance, options: { config: Config, flow: LoginFlow }
): Promise<void> {
  const { config, flow } = options
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: FORM_LIMIT },
    async (_request: FastifyRequest, body: string) => new URLSearchParams(body))
  const onRequest = async (request: FastifyRequest): Promise<void> => { onlyNavigation(request) }

  endpoint(app, {
    method: 'GET',
    url: '/login/initiate',
    onRequest,
    handler: async (request, reply) => {
      const query = request.url.indexOf('?')
      return await initiate(reply, new URLSearchParams(query < 0 ? '' : request.url.slice(query + 1)))
    }
  }, ['GET', 'POST'])
  endpoint(app, {
    method: 'POST',
    url: '/login/initiate',
    bodyLimit: FORM_LIMIT,
    onRequest,
    handler: async (request, reply) => {
      return await initiate(reply, request.body as URLSearchParams | undefined ?? new URLSearchParams())
    }
  }, ['GET', 'POST'])
  refuseOtherMethods(app, '/login/initiate', ['GET', 'POST'])

  /** The login itself starts at /bff/login, which holds what LCS-02 asks of logins from elsewhere. */
  async function initiate (reply: FastifyReply, params: URLSearchParams): Promise<FastifyReply> {
    for (const name of new Set(params.keys())) {
      if (params.getAll(name).length > 1) throw new BullaError('bad_request', { detail: 'A parameter came twice.' })
    }
    if (params.get('iss') !== config.issuer) {
      throw new BullaError('bad_request', { detail: 'iss must be the issuer that this app logs in at.' })
    }
    const login = new URLSearchParams({ return_to: flow.returnTo(localPath(params.get('target_link_uri'), config.public_url)) })
    const hint = params.get('login_hint')
    if (hint !== null && hint !== '') login.set('login_hint', hint)
    return await reply.redirect(`${config.base_path}/login?${login.toString()}`, 303)
  }
}

/**
 * LCS-03: the target is a URL of this app, by its very origin; what is left is checked like every return_to.
 */
function localPath (target: string | null, origin: string): string | null {
  return target?.startsWith(`${origin}/`) === true ? target.slice(origin.length) : null
}
