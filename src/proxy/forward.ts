// Forwards one call: undici's dispatcher writes the upstream's answer straight to the browser's socket.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { BullaError } from '../lib/errors.ts'
import type { Connection } from './departures.ts'
import { Exchange, type Common } from './exchange.ts'
import { overloaded } from './failures.ts'
import type { LiveStreams, StreamSession } from './live.ts'
import type { Target } from './paths.ts'
import { Outbox } from './outbox.ts'
import { createPools, type PoolLimits } from './pools.ts'
import { BODY_STALL, hasBody, RequestBody } from './request-body.ts'
import type { RequestFacts } from './request-headers.ts'
import type { Route } from './routes.ts'

/** What the forwarder reads of a request: Node's own, or a part of an aggregate. */
export type CallRequest = Pick<IncomingMessage, 'method' | 'headers' | 'rawHeaders'> & { readonly socket: Connection }

/** What the forwarder writes an answer to: Node's own response, or what collects a part of an aggregate. */
export interface CallResponse {
  readonly headersSent: boolean
  readonly destroyed: boolean
  readonly writableEnded: boolean
  readonly writableLength: number
  readonly socket: Pick<Duplex, 'cork' | 'uncork'> | null
  writeHead (status: number, headers: Array<string | string[]>): unknown
  flushHeaders (): void
  write (chunk: Buffer | string, encoding?: BufferEncoding): boolean
  end (chunk?: Buffer): unknown
  destroy (): unknown
  once (event: 'drain', listener: () => void): unknown
}

/** A token in place of one that the upstream no longer takes. */
export interface Renewed { readonly accessToken: string | null, readonly setCookies: readonly string[] }

/** One call to forward. */
export interface ForwardCall {
  readonly request: CallRequest
  readonly response: CallResponse
  readonly route: Route
  readonly target: Target
  readonly facts: RequestFacts
  readonly setCookies: readonly string[]
  /** Whose call it is; an event stream ends with the session. */
  readonly session: StreamSession | null
  /** Headers for a listed origin. */
  readonly cors: Readonly<Record<string, string>> | null
  /** Nothing has been sent and nothing will be: answer this. */
  failed (error: BullaError): void
  /** The answer broke off after it had begun; the connection is closed already. */
  cut (cause: Error): void
  /** Another token, after an upstream's `invalid_token`; `null` if there is none to be had. */
  renewed (): Promise<Renewed | null>
}

/** Forwards calls. */
export interface Forwarder {
  /**
   * Starts a call; its outcome is told to the call itself. Throws a {@link BullaError} before anything
   * was sent.
   */
  forward (call: ForwardCall): void
  close (): Promise<void>
}

/** What the forwarder needs. */
export interface ForwarderOptions {
  /** Further CA certificates, PEM. */
  readonly ca?: string[] | undefined
  readonly live: LiveStreams
  /** The login endpoint, for step-up. */
  readonly loginUrl: string
  /** Default: {@link POOL_LIMITS}. */
  readonly limits?: PoolLimits
  /** Milliseconds that a body may stall. Default: {@link BODY_STALL}. */
  readonly stall?: number
}

/**
 * Creates the forwarder. Upstream certificates are verified, nothing is followed, nothing is repeated
 * unless a route says so.
 *
 * @param options what it needs
 */
export function createForwarder (options: ForwarderOptions): Forwarder {
  const { stall = BODY_STALL } = options
  const pools = createPools(options)
  const common: Common = { live: options.live, outbox: new Outbox(), loginUrl: options.loginUrl }

  function forward (call: ForwardCall): void {
    const { request, route } = call
    const pool = pools.of(route.origin)
    const isStream = isEventStreamRequest(request)
    const body = bodyOf(call, stall)
    if (!pool.take(isStream)) throw overloaded()
    new Exchange(call, pool, isStream, body, common).start()
  }

  return { forward, close: async () => { await pools.close() } }
}

/** Node sets it when the socket was handed over: what follows the header is no body then. */
function isUpgrade (request: CallRequest & { upgrade?: boolean }): boolean {
  return request.upgrade === true
}

/** EventSource always says so; its connection stays open. */
function isEventStreamRequest (request: CallRequest): boolean {
  const { accept } = request.headers
  return accept !== undefined && accept.startsWith('text/event-stream')
}

function bodyOf (call: ForwardCall, stall: number): RequestBody | null {
  const { request, response, route } = call
  if (!hasBody(request)) return null
  if (isUpgrade(request)) throw new BullaError('bad_request', { detail: 'A request that upgrades has no body.' })
  const limit = route.config.body_limit
  const declared = request.headers['content-length']
  if (declared !== undefined && Number(declared) > limit) {
    throw new BullaError('body_too_large', { detail: `The limit is ${limit} bytes.` })
  }
  // Only Node's own requests have a body, and theirs is the response then.
  return new RequestBody(request, response as ServerResponse, { limit, stall })
}
