// Puts the CSRF guard in front of a group of routes, before any body is read or token used.
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError, type ErrorCode } from '../lib/errors.ts'
import { refusal, type GuardPolicy } from '../security/csrf.ts'

/**
 * The guard as an `onRequest` hook.
 *
 * @param config gives the header's name and the app's origin
 * @param mode what a request must show
 * @throws {BullaError} `csrf_header_missing`, `csrf_origin_refused`
 */
export function createGuard (config: Config, mode: GuardPolicy['mode'] = 'header'): onRequestAsyncHookHandler {
  const policy: GuardPolicy = { mode, header: config.csrf.header.toLowerCase(), origin: config.public_url }
  return async function guard (request: FastifyRequest) {
    const code = refusal(policy, request.method, request.headers)
    if (code !== null) throw refused(code, policy)
  }
}

function refused (code: ErrorCode, policy: GuardPolicy): BullaError {
  return new BullaError(code, {
    detail: code === 'csrf_header_missing'
      ? `Send the header ${policy.header}: 1 with every request.`
      : 'Only the app itself, from its own origin, may make this request.'
  })
}
