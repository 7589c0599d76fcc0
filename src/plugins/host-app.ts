// Serves a host application: its own handlers find the session of the request, fresh, in `request.session`.
import type { FastifyInstance, FastifyReply, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import { createGuard } from './guard.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Refuses requests that do not come from the app itself; an `onRequest` hook for routes of your own. */
    csrfGuard: onRequestHookHandler
  }
}

export const hostAppPlugin = fp(async (app: FastifyInstance, options: { config: Config }) => {
  app.decorate('csrfGuard', createGuard(options.config))
  app.addHook('preHandler', async (request, reply) => {
    const state = app.sessions.read(request)
    if (state.session === null) return
    try {
      const { session, setCookies } = await app.sessions.renewal.activate(state)
      request.openedSession = session
      deliver(reply, setCookies)
    } catch (error) {
      // Without a usable session the handler sees null; a faulty provider is for the log, not for this route.
      if (!(error instanceof BullaError)) throw error
      deliver(reply, error.setCookies)
      request.log.info({ code: error.code }, 'no session for this request')
    }
  })
}, { name: 'bulla-host-app', fastify: '5.x', dependencies: ['bulla-session'] })

/** S41: an answer that sets a cookie is kept by nobody. */
function deliver (reply: FastifyReply, setCookies: readonly string[]): void {
  if (setCookies.length > 0) reply.header('set-cookie', setCookies).header('cache-control', 'private, no-store')
}
