// One login from its start to its end, the same whether navigations or the app's own fetches drive it.
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { readAnswer, RefusedError } from '../oidc/answer.ts'
import { allowedParams, authorizationUrl, checkPublished, type ResponseMode } from '../oidc/authorize.ts'
import { finishLogin } from '../oidc/callback.ts'
import { checkSupport } from '../oidc/client-auth.ts'
import {
  createLoginState, loginId, ticketOf, type LoginIntent, type LoginState, type Silence, type Ticket
} from '../oidc/login-state.ts'
import { acceptedReturnTo, createReturnToPolicy, isRoutePath } from '../security/return-to.ts'
import type { OwnCookies } from '../session/cookies.ts'
import { LOGIN_LIFETIME } from '../session/login-cookies.ts'
import type { Session } from '../session/session.ts'
import type { SessionState } from '../session/store.ts'
import type { Oidc } from './oidc.ts'
import type { Revocations } from './revocation.ts'
import type { Sessions } from './session.ts'

/** What a caller wants of a login. */
export interface LoginWish {
  /** `return_to` and the authorization parameters, as parsed. */
  readonly query: Readonly<Record<string, unknown>>
  /** The session of the request. */
  readonly current: SessionState
  readonly viaApp: boolean
  /** Who is told of a silent login's outcome. */
  readonly silence: Silence
  /** How often this login has been started again by itself. */
  readonly attempt: number
}

/** A login that has begun. */
export interface Begun { readonly url: string, readonly setCookies: readonly string[] }

/** How a login ended. */
export type Ending =
  | { readonly kind: 'done', readonly login: LoginState, readonly session: Session, readonly setCookies: readonly string[] }
  /**
   * The error carries the deletion of the login's cookie; `refusal` is the provider's own code, if it gave
   * one.
   */
  | { readonly kind: 'failed', readonly login: LoginState, readonly error: BullaError, readonly refusal: string | undefined }
  /** No login of this browser is known under the answer's state; the ticket says what it once was. */
  | { readonly kind: 'unknown', readonly ticket: Ticket | null, readonly hasCode: boolean, readonly mayRestart: boolean }

/** Begins and ends logins. */
export interface LoginFlow {
  readonly responseMode: ResponseMode
  /** An acceptable local path: the one asked for, else the default page (no error oracle). */
  returnTo (value: unknown): string
  /** Whether a path is an API route, which answers same-origin navigations only. */
  isRoute (path: string): boolean
  /** The same error, its page and body saying where to try again. */
  withWayOn (error: BullaError, returnTo: unknown): BullaError
  /** @throws {BullaError} `bad_request`, `idp_unavailable`, `idp_misconfigured` */
  begin (wish: LoginWish): Promise<Begun>
  /** @throws {BullaError} `callback_invalid` for an answer that is malformed or not genuine */
  end (params: URLSearchParams, own: OwnCookies, viaApp: boolean): Promise<Ending>
}

/** What the flow needs. */
export interface LoginFlowOptions {
  readonly config: Config
  readonly clock: Clock
  readonly oidc: Oidc
  readonly sessions: Sessions
  readonly revocations: Revocations
  readonly log: FastifyBaseLogger
}

/** The longest value of a login cookie; over it, `return_to` gives way. */
const MAX_LOGIN_COOKIE = 3800

/**
 * Creates the flow: everything that the settings decide is decided here.
 *
 * @param options what it needs
 */
export function createLoginFlow (options: LoginFlowOptions): LoginFlow {
  const { config, clock, oidc, sessions, revocations, log } = options
  const policy = createReturnToPolicy(config.public_url, config.base_path, config.routes)
  const returnTo = (value: unknown): string =>
    (typeof value === 'string' ? acceptedReturnTo(value, policy) : null) ?? config.default_return_to
  const responseMode: ResponseMode = config.response_mode
  const modes = { app: appMode(responseMode), navigation: responseMode }
  const appUri = config.spa_redirect_uri === undefined ? '' : new URL(config.spa_redirect_uri, config.public_url).href
  const redirectUri = (viaApp: boolean): string => viaApp ? appUri : oidc.redirectUri
  const modeOf = (viaApp: boolean): ResponseMode => viaApp ? modes.app : modes.navigation

  async function begin (wish: LoginWish): Promise<Begun> {
    if (Array.isArray(wish.query.return_to)) throw new BullaError('bad_request', { detail: 'return_to must be given once.' })
    const params = allowedParams(wish.query, config.login_params)
    const metadata = await oidc.provider.metadata()
    checkPublished(params, metadata)
    checkSupport(metadata, oidc.client, modeOf(wish.viaApp))
    const asked = { ...params, ...config.authorization_params }
    const intent = intentOf(wish, asked, returnTo(wish.query.return_to))
    const { login, setCookies } = await remember(intent, wish.current.own)
    const url = await authorizationUrl({
      metadata,
      clientId: config.client_id,
      redirectUri: redirectUri(wish.viaApp),
      scope: config.scope,
      responseMode: modeOf(wish.viaApp),
      constants: config.authorization_params,
      params,
      login
    })
    return { url, setCookies }
  }

  /**
   * Whether this browser may well have begun the login that it lost: it took longer than its cookie lives,
   * or other
   * logins of this browser pushed it out. A fresh answer in a browser that knows of no login is somebody
   * else's
   * (AUT-05), and nothing starts by itself.
   */
  function isOwnLoss (ticket: Ticket, own: OwnCookies): boolean {
    const stem = sessions.cookies.name('login', '')
    if (unixSeconds(clock) >= ticket.startedAt + LOGIN_LIFETIME) return true
    return [...own.values.keys()].some((name) => name.startsWith(stem))
  }

  /**
   * The sealed cookie of a login; a `return_to` with which it would not fit gives way to the default page.
   */
  async function remember (
    intent: LoginIntent, own: OwnCookies
  ): Promise<{ login: LoginState, setCookies: string[] }> {
    const login = await createLoginState(intent, sessions.tickets, unixSeconds(clock))
    const setCookies = await sessions.logins.write(loginId(login.state) ?? '', login, own)
    const fits = (setCookies.at(-1)?.length ?? 0) <= MAX_LOGIN_COOKIE
    if (fits || intent.returnTo === config.default_return_to) return { login, setCookies }
    return await remember({ ...intent, returnTo: config.default_return_to }, own)
  }

  async function end (params: URLSearchParams, own: OwnCookies, viaApp: boolean): Promise<Ending> {
    const { provider, client } = oidc
    const algorithms = config.id_token_signing_alg
    const answer = await readAnswer(params, {
      provider, algorithms, clientId: config.client_id, responseMode: modeOf(viaApp), now: clock()
    })
    const state = answer.get('state')
    const id = loginId(state)
    const kept = id === null ? null : sessions.logins.read(id, own)
    if (id === null || kept === null || kept === 'expired') {
      const ticket = ticketOf(state, sessions.tickets, config.default_return_to)
      const hasCode = (answer.get('code') ?? '') !== '' && !answer.has('error')
      return { kind: 'unknown', ticket, hasCode, mayRestart: ticket !== null && isOwnLoss(ticket, own) }
    }
    const login = kept as LoginState
    const clear = sessions.logins.clear(id)
    try {
      if (login.viaApp !== viaApp) throw new BullaError('callback_invalid', { cause: new Error('the answer took another way') })
      const session = revocations.admit(await finishLogin(answer, login, {
        provider,
        client,
        clock,
        algorithms,
        redirectUri: redirectUri(viaApp),
        claims: config.claims,
        userinfo: config.userinfo,
        maxAge: config.session.max_age,
        onWasted: (tokens) => { revocations.revokeTokens(tokens) },
        onWithoutUserInfo: (cause) => { log.warn({ cause: describeError(cause) }, 'userinfo could not be read; the session has fewer claims') }
      }))
      const setCookies = await sessions.store.write(session, null).catch((error: unknown) => {
        revocations.revokeTokens(session)
        throw error
      })
      return { kind: 'done', login, session, setCookies: [...setCookies, clear] }
    } catch (error) {
      if (!(error instanceof BullaError)) throw error
      const refusal = error.cause instanceof RefusedError ? error.cause.error : undefined
      return { kind: 'failed', login, refusal, error: withWayOn(error, login.returnTo).withCookies([clear]) }
    }
  }

  function withWayOn (error: BullaError, wanted: unknown): BullaError {
    return new BullaError(error.code, {
      cause: error.cause,
      loginUrl: `${config.public_url}${config.base_path}/login?return_to=${encodeURIComponent(returnTo(wanted))}`,
      ...(error.detail === undefined ? {} : { detail: error.detail }),
      ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter })
    })
  }

  return { responseMode, returnTo, isRoute: (path) => isRoutePath(path, policy), withWayOn, begin, end }
}

/** A form cannot be posted to a page of the app: its answers come in the address. */
function appMode (mode: ResponseMode): ResponseMode {
  if (mode === 'form_post') return 'query'
  return mode === 'form_post.jwt' ? 'jwt' : mode
}

function intentOf (wish: LoginWish, asked: Readonly<Record<string, string>>, returnTo: string): LoginIntent {
  const { session } = wish.current
  const isBound = session !== null && isStepUp(asked)
  return {
    returnTo,
    attempt: wish.attempt,
    viaApp: wish.viaApp,
    ...(asked.prompt === 'none' ? { silent: wish.silence } : {}),
    ...(asked.acr_values === undefined ? {} : { acrValues: asked.acr_values.split(' ') }),
    ...(asked.max_age === undefined ? {} : { maxAge: Number(asked.max_age) }),
    ...(isBound ? { expectedSubject: session.subject } : {})
  }
}

/**
 * Whether a login over a live session is about the same person (AUT-19): a stronger, a fresh, a silent
 * login, a new
 * consent. A plain login or `prompt=select_account` may be somebody else's, and replaces the session as a
 * whole.
 *
 * @param asked the authorization parameters
 */
export function isStepUp (asked: Readonly<Record<string, unknown>>): boolean {
  const prompts = typeof asked.prompt === 'string' ? asked.prompt.split(' ') : []
  if (prompts.includes('select_account') || prompts.includes('create')) return false
  return asked.acr_values !== undefined || asked.max_age !== undefined ||
    prompts.some((prompt) => prompt === 'none' || prompt === 'login' || prompt === 'consent')
}
