// The proxied routes: guard, then session, then forward.
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import { toBullaError } from '../plugins/errors.ts'
import { createGuard } from '../plugins/guard.ts'
import type { ActiveSession } from '../plugins/renewal.ts'
import { createForwarder } from '../proxy/forward.ts'
import { readTarget } from '../proxy/paths.ts'
import { createRoutes, matchRoute, type Route } from '../proxy/routes.ts'
import { refuseOtherMethods } from './endpoint.ts'

export async function apiRoutes (app: FastifyInstance, options: { config: Config }): Promise<void> {
  const { config } = options
  const routes = createRoutes(config.routes)
  const publicUrl = new URL(config.public_url)
  const forwarder = createForwarder({
    publicOrigin: publicUrl.origin,
    ca: config.upstream_ca === undefined ? undefined : [...rootCertificates, readFileSync(config.upstream_ca, 'utf8')]
  })
  app.addHook('onClose', async () => { await forwarder.close() })
  // Bodies are streams: no parser of Fastify's touches them.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => { done(null) })

  for (const route of routes) {
    const context = {
      host: route.host,
      publicHost: publicUrl.host,
      publicProto: publicUrl.protocol.slice(0, -1),
      csrfHeader: config.csrf.header.toLowerCase(),
      set: lowerNames(route.config.request_headers.set),
      remove: new Set(route.config.request_headers.remove.map((name) => name.toLowerCase()))
    }
    const guard = createGuard(config, route.config.csrf)
    const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      const target = readTarget(request.raw.url ?? '', route.config.encoded_slashes)
      if (target === null) throw new BullaError('bad_request', { detail: 'The path is not acceptable.' })
      if (matchRoute(routes, target.path) !== route) throw new BullaError('not_found')
      const active = await sessionFor(route, request)
      try {
        await forwarder.forward({
          request: request.raw,
          response: reply.raw,
          route,
          target,
          // Read when the answer starts: a slow one brings the newest session, not the one that it set out with.
          get setCookies () { return active?.setCookies ?? [] },
          context: {
            ...context, accessToken: active?.session.accessToken ?? null, clientAddress: request.ip, requestId: request.id
          }
        })
      } catch (error) {
        request.raw.resume()
        throw toBullaError(error).withCookies(active?.setCookies ?? [])
      }
      reply.hijack()
    }
    for (const url of [route.prefix, `${route.prefix}/*`]) {
      app.route({ exposeHeadRoute: false, method: [...route.config.methods], url, onRequest: guard, handler })
      refuseOtherMethods(app, url, route.config.methods)
    }
  }

  async function sessionFor (route: Route, request: FastifyRequest): Promise<ActiveSession | null> {
    const { token } = route.config
    if (token === 'none') return null
    const state = app.sessions.read(request)
    if (token === 'optional' && state.session === null) return null
    const active = await app.sessions.renewal.activate(state)
    request.session = active.session
    return active
  }
}

function lowerNames (headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
