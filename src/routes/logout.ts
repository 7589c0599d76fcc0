// Logout: the session ends here, its tokens are revoked, the way to the provider's own logout is handed out.
import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Config } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { sessionIdOf, type LoginState } from '../oidc/login-state.ts'
import { endSession, endSessionUrl, withoutHint, type EndSession } from '../oidc/logout.ts'
import { guardPolicy } from '../plugins/guard.ts'
import { refusal, type GuardPolicy } from '../security/csrf.ts'
import { logoutPage, logoutPageHeaders } from '../security/logout-page.ts'
import { isNavigation } from '../security/navigation.ts'
import type { OwnCookies } from '../session/cookies.ts'
import type { Ended } from '../session/notes.ts'
import type { Session } from '../session/session.ts'
import { endpoint } from './endpoint.ts'

/** What the routes are handed. */
export interface LogoutRoutesOptions { readonly config: Config, readonly clock: Clock }

/** A logout needs no body; a form may have fields, which nobody reads. */
const BODY_LIMIT = 16 * 1024

export async function logoutRoutes (app: FastifyInstance, options: LogoutRoutesOptions): Promise<void> {
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT }, async () => null)
    addLogout(scope, options)
  })
  // Whatever state comes back, or none: nothing is done by it, so there is nothing to refuse (RPI-04).
  endpoint(app, {
    method: 'GET',
    url: '/logged-out',
    handler: async (_request, reply) => await reply.redirect(options.config.post_logout_page, 303)
  })
}

function addLogout (app: FastifyInstance, { config, clock }: LogoutRoutesOptions): void {
  const { oidc, sessions, revocations } = app
  const policy = guardPolicy(config)
  // Only a page of the app itself logs out by a form.
  const formPolicy: GuardPolicy = { ...policy, mode: 'fetch-metadata', allowed: new Set() }
  const clearSiteData = config.clear_site_data.includes('off')
    ? null
    : config.clear_site_data.map((type) => `"${type}"`).join(', ')

  endpoint(app, {
    method: 'POST',
    url: '/logout',
    schema: { response: { 200: Type.Object({ logout_url: Type.Union([Type.String(), Type.Null()]) }) } },
    onRequest: async (request) => {
      const code = isNavigation(request.headers)
        ? refusal(formPolicy, request.method, formHeaders(request.headers))
        : refusal(policy, request.method, request.headers)
      if (code !== null) throw new BullaError(code)
    },
    handler: async (request, reply) => {
      const own = sessions.cookies.read(request.headers.cookie)
      const opened = sessions.store.open(own)
      // A refresh whose answer is still on its way to the browser: its tokens are the ones to revoke.
      const session = opened === null ? null : sessions.renewal.latest(opened)
      reply.header('set-cookie', await sessions.store.end(session, own, loginsInFlight(own)))
      if (clearSiteData !== null) reply.header('clear-site-data', clearSiteData)
      if (session === null) return await answer(request, reply, null)
      revocations.counts.add('logouts')
      await endHere(request, session)
      // A late request may carry cookies of before: the newest refresh token that is known here goes.
      revocations.revokeTokens(sessions.renewal.latest(session))
      return await answer(request, reply, atProvider(session))
    }
  })

  /** The sessions that logins in flight would become: an answer under way must not log in again. */
  function loginsInFlight (own: OwnCookies): Ended[] {
    const stem = sessions.cookies.name('login', '')
    const expiresAt = unixSeconds(clock) + config.session.max_age
    const ended: Ended[] = []
    for (const name of own.values.keys()) {
      const login = name.startsWith(stem) ? sessions.logins.read(name.slice(stem.length), own) : null
      if (login !== null && login !== 'expired') ended.push({ sid: sessionIdOf(login as LoginState), expiresAt })
    }
    return ended
  }

  /** From now on a copy of the cookies is dead on this replica, and its live connections are closed. */
  async function endHere (request: FastifyRequest, session: Session): Promise<void> {
    try {
      await revocations.end([{ kind: 'session', id: session.sid, at: session.expiresAt }])
    } catch (error) {
      request.log.error({ cause: describeError(error) }, 'the revocation list did not take a logout: copies of the cookies live on')
    }
  }

  function atProvider (session: Session): EndSession | null {
    const metadata = oidc.provider.known
    return metadata === null
      ? null
      : endSession({
        metadata,
        clientId: config.client_id,
        session,
        postLogoutRedirectUri: oidc.postLogoutRedirectUri,
        state: randomBytes(16).toString('base64url')
      })
  }

  async function answer (
    request: FastifyRequest, reply: FastifyReply, endRequest: EndSession | null
  ): Promise<FastifyReply> {
    const url = endRequest === null ? null : endSessionUrl(endRequest)
    if (!isNavigation(request.headers)) {
      const short = endRequest === null ? null : url ?? endSessionUrl(withoutHint(endRequest))
      return await reply.send({ logout_url: short })
    }
    if (endRequest !== null && url === null) {
      return await reply.headers(logoutPageHeaders(endRequest.endpoint)).send(logoutPage(endRequest))
    }
    return await reply.redirect(url ?? config.post_logout_page, 303)
  }
}

/**
 * A page with `Referrer-Policy: no-referrer` sends its own forms with `Origin: null`. Sec-Fetch-Site then
 * says whose form it is: for a sandboxed frame, the other sender of `null`, it says cross-site.
 *
 * @see https://fetch.spec.whatwg.org/#append-a-request-origin-header
 */
function formHeaders (headers: IncomingHttpHeaders): IncomingHttpHeaders {
  if (headers.origin !== 'null' || headers['sec-fetch-site'] !== 'same-origin') return headers
  const { origin: _null, ...rest } = headers
  return rest
}
