// The gate in front of the app's documents (`spa_gate`): people without a session go to login and come back.
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import { pathOnly } from '../lib/redact.ts'
import { isNavigation, navigationSource } from '../security/navigation.ts'
import { hopPage } from '../security/page.ts'
import { PAGE_HEADERS } from '../security/response-policy.ts'
import { acceptedReturnTo, createReturnToPolicy } from '../security/return-to.ts'

/** Paths that are documents whoever asks for them: without extension, or HTML. */
const DOCUMENT = /(?:^|\/)(?:[^./]*|[^/]*\.html?)$/i

/**
 * The gate as an `onRequest` hook for the routes that serve documents.
 *
 * COK-13: a navigation that another site began, and every redirect of it, lacks Strict cookies, so that its
 * missing
 * session says nothing. It gets a page that asks again by itself; only that second request is sent to login.
 *
 * @param app gives the sessions
 * @param config the deployment
 * @throws {BullaError} `login_required` for what is no navigation
 */
export function createGate (app: FastifyInstance, config: Config): onRequestAsyncHookHandler {
  const policy = createReturnToPolicy(config.public_url, config.base_path, config.routes)
  const isStrict = config.cookie.same_site === 'strict'
  return async function gate (request: FastifyRequest, reply: FastifyReply) {
    const navigates = isNavigation(request.headers)
    if (!navigates && !isDocument(request.url)) return
    if (app.sessions.read(request).session !== null) return
    if (!navigates) throw new BullaError('login_required')
    const target = acceptedReturnTo(request.url, policy) ?? config.default_return_to
    if (isStrict && navigationSource(request.headers) === 'elsewhere') {
      return await reply.code(200).headers(PAGE_HEADERS).send(hopPage(target))
    }
    const login = `${config.base_path}/login?${new URLSearchParams({ return_to: target }).toString()}`
    return await reply.header('cache-control', 'no-store').redirect(login, 302)
  }
}

/** Decoded as the file server decodes it: `/index.%68tml` is a document too. */
function isDocument (target: string): boolean {
  try {
    return DOCUMENT.test(decodeURIComponent(pathOnly(target)))
  } catch {
    return true
  }
}
