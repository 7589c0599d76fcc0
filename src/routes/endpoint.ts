// How an endpoint is registered: its methods answer, every other method gets 405 and `Allow`.
import type { FastifyInstance, HTTPMethods, RouteOptions } from 'fastify'
import { BullaError } from '../lib/errors.ts'

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/**
 * Registers an endpoint.
 *
 * @param app where
 * @param options the route; several routes of one URL are registered by one call each, `allow` naming
 * all methods
 * @param allow all methods of the URL; default: the route's own
 */
export function endpoint (app: FastifyInstance, options: RouteOptions, allow?: readonly HTTPMethods[]): void {
  const own = [options.method].flat() as HTTPMethods[]
  // A host application may add HEAD to every GET; here HEAD has its own answer.
  app.route({ exposeHeadRoute: false, ...options })
  if (allow !== undefined) return
  refuseOtherMethods(app, options.url, own)
}

/**
 * Answers every method that a URL does not know with 405.
 *
 * @param app where
 * @param url the URL
 * @param allow the methods it knows
 */
export function refuseOtherMethods (app: FastifyInstance, url: string, allow: readonly HTTPMethods[]): void {
  const headers = { allow: allow.join(', ') }
  app.route({
    url,
    method: METHODS.filter((method) => !allow.includes(method)),
    onRequest: async (request, reply) => {
      if (request.method === 'OPTIONS') return await reply.code(204).headers(headers).send()
      throw new BullaError('method_not_allowed', { headers })
    },
    handler: async () => { throw new BullaError('method_not_allowed', { headers }) }
  })
}
