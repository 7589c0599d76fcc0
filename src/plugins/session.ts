// Gives the app its sessions: `app.sessions` opens and writes them, `request.session` holds a request's own.
import cookie from '@fastify/cookie'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/schema.ts'
import type { Clock } from '../lib/clock.ts'
import type { TicketSealer } from '../oidc/login-state.ts'
import { withCompanions, type Activity } from '../session/companions.ts'
import { createCookies, type Cookies } from '../session/cookies.ts'
import { createKeyringSource } from '../session/keyring-source.ts'
import { createLoginCookies, type LoginCookies } from '../session/login-cookies.ts'
import { createSealer } from '../session/seal.ts'
import type { SessionSize } from '../session/sealed-session.ts'
import type { OpenedSession, Session } from '../session/session.ts'
import { createSessionStore, type SessionState, type SessionStore } from '../session/store.ts'
import { createAccess, type AccessControl } from './access.ts'
import { createApiTokens } from './api-tokens.ts'
import { createRenewal, type Renewal } from './renewal.ts'
import { createSpender } from './spender.ts'

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
  /** What a call may show its API. */
  readonly access: AccessControl
  readonly activity: Activity
  /** The fingerprints of the key ring, the sealing key first. */
  kids (): readonly string[]
  /** What a request's cookies amount to. */
  read (request: FastifyRequest): SessionState
}

declare module 'fastify' {
  interface FastifyInstance { sessions: Sessions }
  interface FastifyRequest {
    /** The session of this request, once it was opened; `null` without one. */
    readonly session: Session | null
    /** The same, not decoded to its end unless somebody asks. @internal */
    openedSession: OpenedSession | null
  }
}

export const sessionPlugin = fp(async (app: FastifyInstance, options: SessionPluginOptions) => {
  const { config, clock } = options
  if (!app.hasDecorator('serializeCookie')) await app.register(cookie, { hook: false })
  const cookies = createCookies({
    publicUrl: config.public_url,
    basePath: config.base_path,
    prefix: config.cookie.prefix,
    sameSite: config.cookie.same_site,
    loginSameSite: config.response_mode.startsWith('form_post') ? 'none' : 'lax'
  }, (name, value, attributes) => app.serializeCookie(name, value, attributes))
  const keyring = createKeyringSource({
    keys: config.keys,
    file: config.keys_file,
    binding: { origin: config.public_url, issuer: config.issuer, clientId: config.client_id },
    log: app.log
  })
  app.addHook('onClose', () => { keyring.close() })
  const sealer = createSealer(keyring.current, {
    onManySeals: (kid, purpose, count) => {
      app.log.warn({ kid, purpose, count }, 'this key has sealed very often: rotate it (docs/keys.md)')
    }
  })
  const { mode, ahead } = config.refresh
  const { store, activity } = withCompanions(createSessionStore({
    cookies,
    sealer,
    clock,
    budget: config.cookie.budget,
    layout: mode === 'browser' ? 'split' : 'single',
    onWrite: reportSizes(app.log)
  }), { cookies, sealer, clock, idleTimeout: config.session.idle_timeout, routing: config.routing_cookie })
  const spender = createSpender({
    cookies,
    store,
    log: app.log,
    isRevoked: (session) => app.revocations.isRevoked(session),
    revokeTokens: (session) => { app.revocations.revokeTokens(session) },
    oidc: {
      provider: app.oidc.provider,
      client: app.oidc.client,
      ownTarget: app.oidc.ownTarget,
      clock,
      algorithms: config.id_token_signing_alg,
      claims: config.claims
    }
  })
  const renewal = createRenewal({ cookies, store, activity, spender, clock, mode, ahead })
  const open = (request: FastifyRequest): SessionState => store.read(request.headers.cookie)
  const judge = (state: SessionState): SessionState => app.revocations.judge(state)
  const apiTokens = createApiTokens({
    oidc: { provider: app.oidc.provider, client: app.oidc.client, clock }, renewal, log: app.log, ahead
  })
  app.decorate('sessions', {
    cookies,
    store,
    activity,
    logins: createLoginCookies(cookies, sealer, clock),
    tickets: { seal: async (bytes) => await sealer.seal('ticket', bytes), open: (text) => sealer.open('ticket', text) },
    renewal,
    access: createAccess({ open, judge, renewal, apiTokens, clock }),
    kids: () => keyring.current().kids,
    read: (request) => judge(open(request))
  } satisfies Sessions)
  app.decorateRequest('openedSession', null)
  app.decorateRequest('session', {
    getter (this: FastifyRequest) { return this.openedSession?.whole() ?? null }
  })
}, { name: 'bulla-session', fastify: '5.x', dependencies: ['bulla-oidc', 'bulla-revocation'] })

/** The first session, and the first that had to leave something out, say how full the cookies are. */
function reportSizes (log: FastifyBaseLogger): (size: SessionSize) => void {
  const told = new Set<string>()
  return ({ shed, ...size }) => {
    const what = shed.join()
    if (told.has(what)) return
    told.add(what)
    if (shed.length === 0) log.info(size, 'a session fits its cookies')
    else log.warn({ ...size, shed }, 'sessions are too large for cookie.budget: parts are left out')
  }
}
