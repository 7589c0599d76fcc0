// Puts CORS in front of everything: preflights are answered here, listed origins may read the answers.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/schema.ts'
import { requestFault } from './limits.ts'
import { corsHeaders, isPreflight, preflightHeaders } from '../security/cors.ts'

export const corsPlugin = fp(async function corsPlugin (app: FastifyInstance, options: { config: Config }) {
  const allowed = new Set(options.config.allowed_origins)
  if (allowed.size === 0) return

  app.addHook('onRequest', async (request, reply) => {
    reply.header('vary', 'Origin')
    const { origin } = request.headers
    if (origin === undefined || !allowed.has(origin)) return
    reply.headers(corsHeaders(origin))
    if (!isPreflight(request.method, request.headers)) return
    const fault = requestFault(request)
    if (fault !== undefined) throw fault
    return await reply.code(204).headers(preflightHeaders(request.headers['access-control-request-headers'])).send()
  })
}, { name: 'bulla-cors', fastify: '5.x' })
