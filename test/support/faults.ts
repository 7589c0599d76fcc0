// Counts the calls to a provider and breaks its endpoints on request: the unreliable other side, for tests.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ENDPOINTS, endpointOf, type Endpoint } from '../../demo/authorization-server.ts'

/** An answer of the test's own; without a status 200, without a body an OAuth error. */
export interface FalseAnswer {
  readonly status?: number
  /** Text, or what is sent as JSON. */
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

/** How an endpoint misbehaves. */
export type Fault = FalseAnswer |
  /** Takes the request and never answers. */
  { readonly hang: true } |
  /** Cuts the connection. */
  { readonly reset: true } |
  /** Lets the provider work, and cuts the connection instead of delivering its answer. */
  { readonly loseAnswer: true }

/** A call that came in. */
export interface Call {
  readonly endpoint: Endpoint
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  /** The form or JSON that was sent, complete once the call is answered. */
  body: string
  readonly at: number
}

interface Planned { readonly fault: Fault, left: number }

const zeroes = () =>
  Object.fromEntries(Object.keys(ENDPOINTS).map((name) => [name, 0])) as Record<Endpoint, number>

/** The interceptor of one provider, and what it has seen. */
export class Faults {
  /** Number of calls for each endpoint. */
  readonly counts = zeroes()

  /** Every call, oldest first. */
  readonly log: Call[] = []
  readonly #planned = new Map<Endpoint, Planned[]>()
  readonly #delays = new Map<Endpoint, number | Promise<unknown>>()
  readonly #waiting = new Set<(call: Call) => void>()

  /** Breaks an endpoint for the next `times` calls (default: until `mend`). Plans are used up in order. */
  add (endpoint: Endpoint, fault: Fault, times = Infinity): void {
    const plans = this.#planned.get(endpoint) ?? []
    this.#planned.set(endpoint, [...plans, { fault, left: times }])
  }

  /** Ends all faults and delays: of one endpoint, or of all. */
  mend (endpoint?: Endpoint): void {
    for (const map of [this.#planned, this.#delays]) {
      if (endpoint === undefined) map.clear()
      else map.delete(endpoint)
    }
  }

  /** Holds every call to an endpoint back: for milliseconds, or until a promise settles. */
  delay (endpoint: Endpoint, until: number | Promise<unknown>): void {
    this.#delays.set(endpoint, until)
  }

  /** The next call to an endpoint, as soon as it has come in (before it is answered). */
  async next (endpoint: Endpoint): Promise<Call> {
    return await new Promise((resolve) => {
      const waiter = (call: Call) => {
        if (call.endpoint !== endpoint) return
        this.#waiting.delete(waiter)
        resolve(call)
      }
      this.#waiting.add(waiter)
    })
  }

  /** Stands in front of the provider. */
  intercept = (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const endpoint = endpointOf(request.url ?? '/')
    if (endpoint === undefined) return next()
    this.#record(endpoint, request)
    const delay = this.#delays.get(endpoint)
    if (delay === undefined) return this.#act(endpoint, request, response, next)
    const wait = typeof delay === 'number' ? new Promise((resolve) => setTimeout(resolve, delay)) : delay
    const go = () => this.#act(endpoint, request, response, next)
    wait.then(go, go)
  }

  #record (endpoint: Endpoint, request: IncomingMessage): void {
    const call: Call = {
      endpoint, method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: '', at: Date.now()
    }
    this.counts[endpoint] += 1
    this.log.push(call)
    const push = request.push
    // Listening for data would take the body away from the provider: look at it as it comes in instead.
    request.push = function (chunk: unknown, encoding?: BufferEncoding) {
      if (chunk !== null && chunk !== undefined) call.body += String(chunk)
      return push.call(this, chunk, encoding)
    }
    for (const waiter of [...this.#waiting]) waiter(call)
  }

  #act (endpoint: Endpoint, request: IncomingMessage, response: ServerResponse, next: () => void): void {
    const plans = this.#planned.get(endpoint) ?? []
    const plan = plans.find(({ left }) => left > 0)
    if (plan === undefined) return next()
    plan.left -= 1
    const { fault } = plan
    if ('hang' in fault) return
    if ('reset' in fault) return cut(request)
    if ('loseAnswer' in fault) return lose(request, response, next)
    answer(request, response, fault)
  }
}

function cut (request: IncomingMessage): void {
  request.socket.destroy()
}

/** The provider answers into the void: it has done its work, and the caller never hears of it. */
function lose (request: IncomingMessage, response: ServerResponse, next: () => void): void {
  response.writeHead = () => response
  response.write = () => true
  response.end = () => {
    cut(request)
    return response
  }
  next()
}

function answer (request: IncomingMessage, response: ServerResponse, answer: FalseAnswer): void {
  const { status = 200, body = { error: 'temporarily_unavailable' }, headers } = answer
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  request.resume()
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
}
