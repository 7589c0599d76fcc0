// Gives the app its sessions: `app.sessions` opens and writes them, `request.session` holds the one of a request.
import cookie from '@fastify/cookie'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/schema.ts'
import type { Clock } from '../lib/clock.ts'
import type { TicketSealer } from '../oidc/login-state.ts'
import { createCookies, type Cookies } from '../session/cookies.ts'
import { createKeyring } from '../session/keyring.ts'
import { createLoginCookies, type LoginCookies } from '../session/login-cookies.ts'
import { createSealer } from '../session/seal.ts'
import type { Session } from '../session/session.ts'
import { createSessionStore, type SessionState, type SessionStore } from '../session/store.ts'
import { createRenewal, type Renewal } from './renewal.ts'

/** What the plugin is handed. */
export interface SessionPluginOptions { readonly config: Config, readonly clock: Clock }

/** The sessions as the routes use them. */
export interface Sessions {
  readonly cookies: Cookies
  readonly store: SessionStore
  readonly logins: LoginCookies
  /** Seals what a login's `state` says of itself. */
  readonly tickets: TicketSealer
  readonly renewal: Renewal
  /** The fingerprints of the key ring, the sealing key first. */
  kids (): readonly string[]
  /** What a request's cookies amount to. */
  read (request: FastifyRequest): SessionState
}

declare module 'fastify' {
  interface FastifyInstance { sessions: Sessions }
  interface FastifyRequest {
    /** The session of this request, once it was opened; `null` without one. */
    session: Session | null
  }
}

export const sessionPlugin = fp(async function sessionPlugin (app: FastifyInstance, options: SessionPluginOptions) {
  const { config, clock } = options
  if (!app.hasDecorator('serializeCookie')) await app.register(cookie, { hook: false })
  const cookies = createCookies({
    publicUrl: config.public_url, basePath: config.base_path, prefix: config.cookie.prefix, sameSite: config.cookie.same_site,
    loginSameSite: config.response_mode.startsWith('form_post') ? 'none' : 'lax'
  }, (name, value, attributes) => app.serializeCookie(name, value, attributes))
  const keyring = createKeyring(config.keys, {
    origin: config.public_url, issuer: config.issuer, clientId: config.client_id
  })
  const sealer = createSealer(() => keyring)
  const store = createSessionStore({ cookies, sealer, clock, budget: config.cookie.budget })
  const renewal = createRenewal({
    store,
    clock,
    ahead: config.refresh.ahead,
    log: app.log,
    oidc: {
      provider: app.oidc.provider,
      client: app.oidc.client,
      clock,
      algorithms: config.id_token_signing_alg,
      claims: config.claims
    }
  })
  app.decorate('sessions', {
    cookies,
    store,
    logins: createLoginCookies(cookies, sealer, clock),
    tickets: { seal: async (bytes) => await sealer.seal('ticket', bytes), open: (text) => sealer.open('ticket', text) },
    renewal,
    kids: () => keyring.kids,
    read: (request) => store.read(request.headers.cookie)
  } satisfies Sessions)
  app.decorateRequest('session', null)
}, { name: 'bulla-session', fastify: '5.x', dependencies: ['bulla-oidc'] })

