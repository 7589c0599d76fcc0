// The app from its development server, its WebSocket for hot reloading included; never used in production.
import httpProxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ClientOptions } from 'ws'
import type { Config } from '../config/schema.ts'
import { createSocketGuard } from '../plugins/guard.ts'
import { upstreamFailure } from '../proxy/failures.ts'
import { createRequestHeaders, type RequestFacts } from '../proxy/request-headers.ts'
import { handshakeHeaders } from '../proxy/upgrade.ts'
import { clientOptions, socketOptions } from './sockets.ts'

const MAX_MESSAGE = 16 * 1024 * 1024
const TIMEOUT = 30_000

/** What the development server may not set in the app's name. */
const DROPPED: ReadonlySet<string> = new Set([
  'set-cookie', 'clear-site-data', 'strict-transport-security', 'connection', 'keep-alive', 'transfer-encoding'
])

/**
 * Registers the development server behind everything else.
 *
 * @param app the scope of the app itself
 * @param options its origin, and the settings
 */
export async function devServerRoutes (
  app: FastifyInstance, options: { config: Config, upstream: string }
): Promise<void> {
  const { config, upstream } = options
  const headers = createRequestHeaders({
    publicUrl: config.public_url, csrfHeader: config.csrf.header, set: {}, remove: [], via: false
  })
  const forwarded = (request: FastifyRequest): Record<string, string> => {
    const facts: RequestFacts = { accessToken: null, forwardedFor: request.ip, requestId: request.id }
    return handshakeHeaders(headers.build(request.raw.rawHeaders, request.headers.connection, false, facts))
  }
  app.removeAllContentTypeParsers()
  const socketGuard = createSocketGuard(config)
  app.addHook('onRequest', function (request, reply, done) {
    if ((request.raw as { upgrade?: boolean }).upgrade === true) socketGuard.call(this, request, reply, done)
    else done()
  })
  await app.register(httpProxy, {
    ...socketOptions(app.liveStreams, MAX_MESSAGE),
    upstream,
    rewritePrefix: '/',
    retryMethods: [],
    destroyAgent: true,
    undici: { connect: { rejectUnauthorized: true }, headersTimeout: TIMEOUT, bodyTimeout: 0 },
    replyOptions: {
      rewriteRequestHeaders: (request: FastifyRequest, original: Record<string, unknown>) => ({
        ...forwarded(request), ...(original['content-length'] === undefined ? {} : { 'content-length': original['content-length'] })
      }),
      rewriteHeaders: (original: Record<string, unknown>) =>
        Object.fromEntries(Object.entries(original).filter(([name]) => !DROPPED.has(name.toLowerCase()))),
      onError: (reply: { send (error: Error): void }, { error }: { error: Error & { cause?: unknown } }) => {
        reply.send(upstreamFailure(error.cause ?? error))
      }
    },
    wsClientOptions: {
      ...clientOptions(undefined, MAX_MESSAGE, TIMEOUT),
      rewriteRequestHeaders: (_: unknown, request: FastifyRequest) => forwarded(request)
    } as ClientOptions
  } as unknown as FastifyHttpProxyOptions & { websocket: true })
}
