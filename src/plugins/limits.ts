// What every request must keep to before anything looks at it: one Host, a bounded URL, a body that
// keeps coming. The proxied routes ask requestFault by themselves, and time their streams by themselves.
import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { BullaError } from '../lib/errors.ts'
import { sendContinue } from '../proxy/expect.ts'

/** Bytes of a request target. */
export const MAX_URL = 8 * 1024

/** Milliseconds for the small bodies that the endpoints read themselves. */
const BODY_TIME = 30_000

export const limitsPlugin = fp(async function limitsPlugin (
  app: FastifyInstance, options: { bodyTime?: number | undefined }
) {
  app.addHook('onRequest', limitRequest)

  app.addHook('preParsing', (request, reply, payload, done) => {
    const { raw } = request
    const { headers } = raw
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return done(null, payload)
    sendContinue(raw, reply.raw)
    const timer = setTimeout(() => {
      if (!reply.sent) reply.send(new BullaError('request_timeout', { detail: 'The body stalled.' }))
    }, options.bodyTime ?? BODY_TIME).unref()
    const stop = (): void => { clearTimeout(timer) }
    raw.once('end', stop)
    raw.once('close', stop)
    done(null, payload)
  })
}, { name: 'bulla-limits', fastify: '5.x' })

/** The limits of a request's header, as an `onRequest` hook. */
export const limitRequest: onRequestHookHandler = (request, _reply, done) => { done(requestFault(request)) }

/**
 * What is wrong with a request before anything looks at it.
 *
 * @param request as it came
 * @returns `url_too_long`, `bad_request`, or `undefined`
 */
export function requestFault (request: FastifyRequest): BullaError | undefined {
  const { raw } = request
  if ((raw.url ?? '').length > MAX_URL) return new BullaError('url_too_long', { detail: `The limit is ${MAX_URL} bytes.` })
  const hosts = countHosts(raw.rawHeaders)
  if (hosts > 1 || (hosts === 0 && raw.httpVersion !== '1.0')) {
    return new BullaError('bad_request', { detail: 'A request has exactly one Host header.', headers: { connection: 'close' } })
  }
  return undefined
}

/** @see https://www.rfc-editor.org/rfc/rfc9112#section-3.2 */
function countHosts (rawHeaders: readonly string[]): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 4 && (name === 'Host' || name === 'host' || name.toLowerCase() === 'host')) count += 1
  }
  return count
}
