// Answers that Node and Fastify give before any route is found, in the words of the contract.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { BullaError, problemHeaders, toProblem, type ErrorCode } from '../lib/errors.ts'
import { MAX_URL } from './limits.ts'
import { ENDPOINT_HEADERS } from '../security/response-policy.ts'

/** Node's codes in the words of the contract; whatever else cannot be parsed is a bad request. */
const NODE_CODES: Readonly<Record<string, ErrorCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'body_too_large'
}

type ClientError = Error & { code?: unknown, rawPacket?: unknown }

/**
 * Answers a request that Node could not read, and closes its connection.
 *
 * @param error of Node
 * @param socket of the browser
 */
export function answerClientError (error: ClientError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (socket.writable && !isAnswering(socket)) socket.write(message(new BullaError(codeOf(error))))
  socket.destroy(error)
}

/**
 * Answers what the router cannot read.
 *
 * @param error of Fastify
 * @param request whose target it is
 * @param reply its answer
 */
export function answerFrameworkError (
  error: FastifyError, request: FastifyRequest, reply: FastifyReply
): void {
  const fault = new BullaError(error.code === 'FST_ERR_MAX_PARAM_LENGTH' ? 'url_too_long' : 'bad_request')
  reply.code(fault.statusCode).headers({ ...ENDPOINT_HEADERS, ...problemHeaders(fault) })
  reply.send(JSON.stringify(toProblem(fault, request.id)))
}

function codeOf (error: ClientError): ErrorCode {
  const code = NODE_CODES[String(error.code)] ?? 'bad_request'
  return code === 'headers_too_large' && isFirstLineTooLong(error.rawPacket) ? 'url_too_long' : code
}

/** Whether it is the URL that is too long, not the headers. */
function isFirstLineTooLong (packet: unknown): boolean {
  if (!Buffer.isBuffer(packet) || !/^[A-Z]{3,12} /.test(packet.toString('latin1', 0, 13))) return false
  const end = packet.indexOf('\n')
  return end < 0 || end > MAX_URL
}

/** Whether bytes would be taken for a part of another request's answer. */
function isAnswering (socket: Socket): boolean {
  type Answer = ServerResponse & { req: IncomingMessage }
  const { _httpMessage: response } = socket as Socket & { _httpMessage?: Answer | null }
  return response !== null && response !== undefined && (response.headersSent || response.req.complete)
}

function message (fault: BullaError): string {
  const body = JSON.stringify(toProblem(fault))
  const headers = { ...ENDPOINT_HEADERS, ...problemHeaders(fault), 'content-length': String(body.length), connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `HTTP/1.1 ${fault.statusCode} ${STATUS_CODES[fault.statusCode] ?? ''}\r\n${lines}\r\n${body}`
}
