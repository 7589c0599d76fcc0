// Puts the CSRF guard in front of a group of routes, before any body is read or token used.
import type { onRequestHookHandler } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError, type ErrorCode } from '../lib/errors.ts'
import { isSocketOriginAllowed, refusal, type GuardPolicy } from '../security/csrf.ts'

/**
 * The guard's policy of a deployment.
 *
 * @param config gives the header's name and the origins
 * @param mode what a request must show
 */
export function guardPolicy (config: Config, mode: GuardPolicy['mode'] = 'header'): GuardPolicy {
  const { public_url: origin, allowed_origins: allowed, csrf } = config
  return { mode, header: csrf.header.toLowerCase(), origin, allowed: new Set(allowed) }
}

/**
 * The guard as an `onRequest` hook.
 *
 * @param config gives the header's name and the app's origin
 * @param mode what a request must show
 * @returns a hook that fails with `csrf_header_missing` or `csrf_origin_refused`
 */
export function createGuard (config: Config, mode: GuardPolicy['mode'] = 'header'): onRequestHookHandler {
  const policy = guardPolicy(config, mode)
  return function guard (request, _reply, done) {
    const code = refusal(policy, request.method, request.headers)
    done(code === null ? undefined : refused(code, policy))
  }
}

/**
 * The guard of WebSockets: the exact Origin, before any upstream contact.
 *
 * @param config gives the origins
 * @returns a hook that fails with `csrf_origin_refused`
 */
export function createSocketGuard (config: Config): onRequestHookHandler {
  const policy = guardPolicy(config)
  return function socketGuard (request, _reply, done) {
    const isAllowed = isSocketOriginAllowed(policy, request.headers.origin)
    done(isAllowed ? undefined : refused('csrf_origin_refused', policy))
  }
}

function refused (code: ErrorCode, policy: GuardPolicy): BullaError {
  return new BullaError(code, {
    detail: code === 'csrf_header_missing'
      ? `Send the header ${policy.header}: 1 with every request.`
      : 'Only the app itself, from its own origin, may make this request.'
  })
}
