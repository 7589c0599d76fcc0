// What the app may know of its session: who is logged in, until when; and the wish to refresh.
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/schema.ts'
import { createGuard } from '../plugins/guard.ts'
import { endpoint } from './endpoint.ts'
import { createSessionView, sessionViewSchema } from './session-view.ts'

export async function sessionRoutes (app: FastifyInstance, options: { config: Config }): Promise<void> {
  const { config } = options
  const { sessions } = app
  const view = createSessionView(config)
  const guard = createGuard(config)
  const schema = { response: { 200: sessionViewSchema } }

  endpoint(app, {
    method: 'GET',
    url: '/session',
    schema,
    onRequest: guard,
    handler: async (request) => view(sessions.read(request).session)
  })

  endpoint(app, {
    method: 'POST',
    url: '/refresh',
    schema,
    onRequest: guard,
    handler: async (request, reply) => {
      const { session, setCookies } = await sessions.renewal.renew(sessions.read(request))
      if (setCookies.length > 0) reply.header('set-cookie', setCookies)
      return view(session)
    }
  })
}
