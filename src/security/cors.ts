// Cross-origin apps of the same site: exact origins, answered by Bulla and by nobody else.
import type { IncomingHttpHeaders } from 'node:http'

/** Methods that a preflight names; whether a route knows one is decided when it is used. */
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE'

/** Seconds for which a browser may remember a preflight. */
const MAX_AGE = '600'

/** A list of header names, of bounded length. */
const HEADER_NAMES = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\s*,\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/

/**
 * The headers that let a listed origin read an answer.
 *
 * @param origin one of the list
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export function corsHeaders (origin: string): Record<string, string> {
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': 'Bulla-Error'
  }
}

/**
 * Whether a request asks whether another may be made.
 *
 * @param method of the request
 * @param headers of the request
 */
export function isPreflight (method: string, headers: IncomingHttpHeaders): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}

/**
 * What a preflight of a listed origin is answered with, beside {@link corsHeaders}.
 *
 * @param requested the value of `Access-Control-Request-Headers`
 */
export function preflightHeaders (requested: string | undefined): Record<string, string> {
  const isList = requested !== undefined && requested.length <= 1024 && HEADER_NAMES.test(requested)
  return {
    'access-control-allow-methods': METHODS,
    ...(isList ? { 'access-control-allow-headers': requested } : {}),
    'access-control-max-age': MAX_AGE
  }
}
