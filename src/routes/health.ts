// Health of the public listener: 200 or 503 and nothing else.
import type { FastifyInstance } from 'fastify'
import { endpoint } from './endpoint.ts'

export async function healthRoutes (app: FastifyInstance): Promise<void> {
  let isClosing = false
  app.addHook('preClose', async () => { isClosing = true })
  endpoint(app, {
    method: ['GET', 'HEAD'],
    url: '/health',
    handler: async (_request, reply) => await reply.code(isClosing ? 503 : 200).send()
  })
}
