// Forwards one call: undici's dispatcher writes the upstream's answer straight to the browser's socket.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Transform, type Readable } from 'node:stream'
import { Agent, type Dispatcher } from 'undici'
import { BullaError } from '../lib/errors.ts'
import { upstreamFailure } from './failures.ts'
import type { Target } from './paths.ts'
import { requestHeaders, type ForwardContext } from './request-headers.ts'
import { responseHeaders } from './response-headers.ts'
import { upstreamPath, type Route } from './routes.ts'

/** One call to forward. */
export interface ForwardCall {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly route: Route
  readonly target: Target
  readonly context: ForwardContext
  readonly setCookies: readonly string[]
}

/** Forwards calls over one pool of connections. */
export interface Forwarder {
  /** Resolves when the answer has been sent, rejects with a {@link BullaError} while nothing has been. */
  forward (call: ForwardCall): Promise<void>
  close (): Promise<void>
}

/** What the forwarder needs. */
export interface ForwarderOptions {
  readonly publicOrigin: string
  /** Further CA certificates, PEM. */
  readonly ca?: string[] | undefined
}

/**
 * Creates the forwarder. Upstream certificates are verified.
 *
 * @param options what it needs
 */
export function createForwarder (options: ForwarderOptions): Forwarder {
  const agent = new Agent({
    connections: 128,
    pipelining: 1,
    bodyTimeout: 0,
    connect: { timeout: 5_000, ...(options.ca === undefined ? {} : { ca: options.ca }) }
  })

  function forward (call: ForwardCall): Promise<void> {
    return new Promise((resolve, reject) => {
      const body = requestBody(call)
      const handler = new AnswerHandler(call, options.publicOrigin, resolve, reject)
      agent.dispatch({
        origin: call.route.origin,
        path: upstreamPath(call.route, call.target),
        method: call.request.method as Dispatcher.HttpMethod,
        headers: requestHeaders(call.request.rawHeaders, call.context),
        body,
        headersTimeout: call.route.config.timeout * 1000
      }, handler)
    })
  }

  return { forward, close: async () => { await agent.destroy() } }
}

/** The body as a stream that ends at the limit; `null` if the request has none. */
function requestBody (call: ForwardCall): Readable | null {
  const { request, route } = call
  const declared = request.headers['content-length']
  if (request.headers['transfer-encoding'] === undefined && (declared === undefined || declared === '0')) return null
  const limit = route.config.body_limit
  if (declared !== undefined && Number(declared) > limit) throw new BullaError('body_too_large')
  let size = 0
  const limited = new Transform({
    transform (chunk: Buffer, _encoding, done) {
      size += chunk.length
      if (size > limit) done(new BullaError('body_too_large'))
      else done(null, chunk)
    }
  })
  request.on('error', (error) => limited.destroy(error))
  return request.pipe(limited)
}

/** Writes the upstream's answer as it comes, at the pace at which the browser takes it. */
class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly #call: ForwardCall
  readonly #origin: string
  readonly #resolve: () => void
  readonly #reject: (error: BullaError) => void
  #controller: Dispatcher.DispatchController | null = null
  readonly #onClose = (): void => { this.#controller?.abort(new Error('the client left')) }
  readonly #onDrain = (): void => { this.#controller?.resume() }

  constructor (call: ForwardCall, origin: string, resolve: () => void, reject: (error: BullaError) => void) {
    this.#call = call
    this.#origin = origin
    this.#resolve = resolve
    this.#reject = reject
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    const { response } = this.#call
    if (response.destroyed) this.#onClose()
    response.once('close', this.#onClose)
    response.on('drain', this.#onDrain)
  }

  onResponseStart (controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return
    const { response, route, setCookies } = this.#call
    const raw = Array.isArray(controller.rawHeaders) ? controller.rawHeaders.map(String) : []
    response.writeHead(status, responseHeaders(raw, route, this.#origin, setCookies))
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#call.response.write(chunk)) controller.pause()
  }

  onResponseEnd (): void {
    this.#detach()
    this.#call.response.end()
    this.#resolve()
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error): void {
    this.#detach()
    const { response } = this.#call
    if (response.headersSent || response.destroyed) {
      response.destroy()
      this.#resolve()
    } else {
      this.#reject(upstreamFailure(error))
    }
  }

  #detach (): void {
    this.#call.response.off('close', this.#onClose)
    this.#call.response.off('drain', this.#onDrain)
  }
}
