// What a silent login in a frame ends with: a page whose one script tells the outcome to the page around it.
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Config } from '../config/schema.ts'
import { OUTCOME_SCRIPT, outcomePage } from '../security/page.ts'
import { OUTCOME_HEADERS } from '../security/response-policy.ts'
import { endpoint } from './endpoint.ts'

export async function outcomeRoutes (app: FastifyInstance): Promise<void> {
  endpoint(app, {
    method: 'GET',
    url: '/login/outcome.js',
    handler: async (_request, reply) => await reply.type('text/javascript; charset=utf-8').send(OUTCOME_SCRIPT)
  })
}

/**
 * Answers a silent login in a frame.
 *
 * @param reply of the request
 * @param config gives the base path
 * @param outcome `ok`, or an error's code
 */
export async function sendOutcome (
  reply: FastifyReply, config: Config, outcome: string
): Promise<FastifyReply> {
  return await reply.code(200).headers(OUTCOME_HEADERS).send(outcomePage(outcome, `${config.base_path}/login/outcome.js`))
}
