// Every fault becomes an answer of the contract: a problem document, or for people a page or a redirect
// to login.
import type { IncomingMessage } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/schema.ts'
import { BullaError, problemHeaders, toProblem, type ErrorCode } from '../lib/errors.ts'
import { drain } from '../lib/drain.ts'
import { describeError, pathOnly, printable } from '../lib/redact.ts'
import { isWaiting } from '../proxy/expect.ts'
import { isNavigation } from '../security/navigation.ts'
import { errorPage } from '../security/page.ts'
import { ENDPOINT_HEADERS, PAGE_HEADERS } from '../security/response-policy.ts'

/** Fastify's own faults in the words of the contract. */
const FASTIFY_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_BAD_URL: 'bad_request',
  FST_ERR_VALIDATION: 'bad_request'
}

/** Codes that logging in would mend. */
const LOGIN_MENDS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'login_required', 'session_expired', 'session_stale', 'session_revoked', 'callback_invalid', 'login_expired', 'login_denied'
])

export const errorsPlugin = fp(async function errorsPlugin (
  app: FastifyInstance, options: { config: Config }
) {
  const { config } = options
  const loginUrl = `${config.base_path}/login`

  app.setErrorHandler(async (error: FastifyError, request, reply) => {
    const fault = toBullaError(error)
    logFault(request, fault)
    if (fault.setCookies.length > 0) reply.header('set-cookie', fault.setCookies)
    leaveBody(request, reply, fault)
    return await answer(request, reply, fault)
  })

  async function answer (
    request: FastifyRequest, reply: FastifyReply, fault: BullaError
  ): Promise<FastifyReply> {
    reply.code(fault.statusCode)
    if (isNavigation(request.headers)) {
      const wayOn = fault.loginUrl !== undefined
        ? { href: fault.loginUrl, label: fault.statusCode === 401 ? 'Log in' : 'Try again' }
        : LOGIN_MENDS.has(fault.code) ? { href: loginUrl, label: 'Log in' } : { href: '/', label: 'Back to the app' }
      reply.headers({ ...problemHeaders(fault), ...PAGE_HEADERS })
      return await reply.send(errorPage(fault, wayOn, request.id))
    }
    const problem = toProblem(fault, request.id)
    if (fault.statusCode === 401) problem.login_url ??= loginUrl
    reply.headers({ ...ENDPOINT_HEADERS, ...problemHeaders(fault) })
    return await reply.send(JSON.stringify(problem))
  }
}, { name: 'bulla-errors', fastify: '5.x' })

/** Nobody reads the body of a refused request: it is read away, or its connection ends. */
function leaveBody (request: FastifyRequest, reply: FastifyReply, fault: BullaError): void {
  if (fault.code === 'request_timeout' || isWaiting(request.raw)) reply.header('connection', 'close')
  drain(request.raw)
}

/** What the log says of a forwarded call that failed. */
export interface ForwardingNote {
  readonly route: string
  /** Milliseconds. */
  readonly duration: number
}

const notes = new WeakMap<IncomingMessage, ForwardingNote>()

/**
 * Leaves a note for the one log line of a failed call.
 *
 * @param request the call
 * @param note its route and duration
 */
export function noteForwarding (request: IncomingMessage, note: ForwardingNote): void {
  notes.set(request, note)
}

/**
 * Any thrown thing as an error of the contract.
 *
 * @param error what was thrown
 */
export function toBullaError (error: unknown): BullaError {
  if (error instanceof BullaError) return error
  const { code, statusCode } = (error ?? {}) as Partial<FastifyError>
  const known = FASTIFY_CODES[code ?? '']
  if (known !== undefined) return new BullaError(known, { cause: error })
  return new BullaError(statusCode !== undefined && statusCode < 500 ? 'bad_request' : 'internal', { cause: error })
}

function logFault (request: FastifyRequest, fault: BullaError): void {
  const note = notes.get(request.raw)
  const line = {
    code: fault.code,
    request_id: request.id,
    method: request.method,
    path: printable(pathOnly(request.url)),
    ...(note === undefined ? {} : { route: note.route, duration_ms: note.duration }),
    ...(fault.cause === undefined ? {} : { cause: describeError(fault.cause) })
  }
  const { log } = request.server
  if (fault.code === 'internal') log.error({ ...line, stack: fault.cause instanceof Error ? fault.cause.stack : undefined }, 'internal error')
  else log[fault.statusCode >= 500 ? 'warn' : 'info'](line, 'refused')
}
