// The proxied routes: guard, then session, then forward.
import { METHODS } from 'node:http'
import type { FastifyInstance, HTTPMethods, onRequestHookHandler } from 'fastify'
import type { Config } from '../config/schema.ts'
import { createGuard } from '../plugins/guard.ts'
import { limitRequest, requestFault } from '../plugins/limits.ts'
import type { Route } from '../proxy/routes.ts'
import { acceptedTarget, createApiHandler, type ApiContext } from './api-call.ts'
import { refuseOtherMethods } from './endpoint.ts'
import { socketRoutes } from './sockets.ts'

export async function apiRoutes (app: FastifyInstance, options: { config: Config }): Promise<void> {
  const { config } = options
  const { forwarding: { routes, forwarder, ca }, liveStreams: live, sessions: { access }, log } = app
  // Bodies are streams: no parser of Fastify's touches them.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => { done(null) })
  // A logger of its own for each request costs more than the few lines are worth: they name the request.
  app.setChildLoggerFactory(() => app.log)

  app.decorateRequest('apiTarget', null)
  app.decorateRequest('apiSession', null)
  const context: ApiContext = { config, routes, forwarder, access, log, unopened: [] }
  for (const route of routes) registerRoute(app, route, context)
  await app.register(async (scope) => {
    scope.addHook('onRequest', limitRequest)
    for (const { prefix, config: { methods } } of routes) {
      for (const url of urlsOf(prefix)) refuseOtherMethods(scope, url, methods as HTTPMethods[])
    }
    await socketRoutes(scope, { config, routes, live, ca })
  })
}

function registerRoute (app: FastifyInstance, route: Route, context: ApiContext): void {
  const handler = createApiHandler(route, context)
  const onRequest = admission(route, context)
  const methods = route.config.methods as HTTPMethods[]
  for (const method of methods) {
    const isNew = !app.supportedMethods.includes(method) && METHODS.includes(method)
    if (isNew) app.addHttpMethod(method, { hasBody: true })
  }
  for (const url of urlsOf(route.prefix)) {
    app.route({ url, method: [...methods], exposeHeadRoute: false, onRequest, handler })
  }
}

function urlsOf (prefix: string): string[] {
  return [prefix, `${prefix}/*`]
}

/** Limits and path first, then the guard, then the session: one hook, since each costs. */
function admission (route: Route, { config, routes }: ApiContext): onRequestHookHandler {
  const guard = createGuard(config, route.config.csrf)
  return function admit (request, reply, done) {
    const fault = requestFault(request)
    if (fault !== undefined) {
      done(fault)
      return
    }
    try {
      request.apiTarget = acceptedTarget(route, request, routes)
    } catch (error) {
      done(error as Error)
      return
    }
    guard.call(this, request, reply, done)
  }
}
