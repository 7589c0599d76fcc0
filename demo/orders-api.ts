// A small API that only knows Bearer tokens: what stands behind Bulla in the demo and in tests.
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { ServerResponse } from 'node:http'
import { requireRole, requireScope, requireToken, type Caller } from './orders/access.ts'
import { Ledger } from './orders/ledger.ts'

/** Options of the API. */
export interface OrdersApiOptions {
  readonly issuer: string
  readonly audience: string
  /** Port on loopback; 0 (default) takes any free one. */
  readonly port?: number
  /** Path in front of every route. Default `/api`. */
  readonly prefix?: string
  /** Asks for `orders:read` and `orders:write`. Default `false`. */
  readonly requireScopes?: boolean
}

/** A running API. */
export interface OrdersApi {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

const EVENT_MS = 1000
const newOrder = {
  type: 'object',
  required: ['goods', 'minas'],
  additionalProperties: false,
  properties: {
    goods: { type: 'string', minLength: 1, maxLength: 80 },
    minas: { type: 'integer', minimum: 1, maximum: 1000 }
  }
}

/** Starts the orders API on 127.0.0.1. */
export async function startOrdersApi (options: OrdersApiOptions): Promise<OrdersApi> {
  const app = Fastify({ forceCloseConnections: true })
  app.decorateRequest('caller', null)
  await app.register(async (api) => routes(api, options), { prefix: options.prefix ?? '/api' })
  const url = await app.listen({ port: options.port ?? 0, host: '127.0.0.1' })
  return { url, port: Number(new URL(url).port), close: () => app.close() }
}

async function routes (api: FastifyInstance, options: OrdersApiOptions): Promise<void> {
  const ledger = new Ledger()
  const scope = (name: string) => options.requireScopes === true ? { onRequest: requireScope(name) } : {}
  api.addHook('onRequest', requireToken(options.issuer, options.audience))

  api.get('/orders', scope('orders:read'), async (request) => ({ orders: ledger.of(caller(request).sub) }))

  api.get<{ Params: { id: string } }>('/orders/:id', scope('orders:read'), async (request, reply) => {
    const order = ledger.of(caller(request).sub).find(({ id }) => id === request.params.id)
    return order ?? await reply.code(404).send({ error: 'not_found', error_description: 'No such order.' })
  })

  api.post<{ Body: { goods: string, minas: number } }>(
    '/orders', { ...scope('orders:write'), schema: { body: newOrder } }, async (request, reply) => {
      const order = ledger.place(caller(request).sub, request.body.goods, request.body.minas)
      return await reply.code(201).send(order)
    })

  api.get('/ledger', { onRequest: requireRole('orders-admin') }, async () => ({ orders: ledger.all() }))

  api.get('/me', async (request) => {
    const { sub, scopes, roles } = caller(request)
    return { sub, scopes, roles }
  })

  api.get('/events', scope('orders:read'), async (request, reply) => {
    reply.hijack()
    sendEvents(reply.raw, ledger, caller(request))
  })
}

/** The hook in front of every route has set it. */
function caller (request: FastifyRequest): Caller {
  if (request.caller === null) throw new Error('no caller')
  return request.caller
}

/** One moved order a second, until the reader leaves or the token that opened the stream expires. */
function sendEvents (response: ServerResponse, ledger: Ledger, { sub, expiresAt }: Caller): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const send = () => {
    if (Date.now() / 1000 >= expiresAt) return response.end('event: expired\ndata: {}\n\n')
    return response.write(`event: order\ndata: ${JSON.stringify(ledger.advance(sub))}\n\n`)
  }
  send()
  const timer = setInterval(send, EVENT_MS)
  response.on('close', () => clearInterval(timer))
}
