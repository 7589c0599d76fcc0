// The beginning of a login: what was asked for checked, the login remembered, the address to go to.
import type { Config } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { allowedParams, authorizationUrl, checkPublished } from '../oidc/authorize.ts'
import { checkSupport } from '../oidc/client-auth.ts'
import { createLoginState, loginId, type LoginIntent, type LoginState, type Silence } from '../oidc/login-state.ts'
import type { OwnCookies } from '../session/cookies.ts'
import type { SessionState } from '../session/store.ts'
import { resourcesOf } from './api-tokens.ts'
import type { LoginSettings } from './login-settings.ts'
import type { Oidc } from './oidc.ts'
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

/** What beginning needs. */
export interface LoginBeginOptions {
  readonly config: Config
  readonly clock: Clock
  readonly oidc: Oidc
  readonly sessions: Sessions
}

type Params = Readonly<Record<string, string>>

/** The longest `Set-Cookie` value of a login; over it, `return_to` gives way. */
const MAX_LOGIN_COOKIE = 3800

/**
 * Creates what begins logins.
 *
 * @param options what it needs
 * @param settings what the deployment decides
 */
export function createLoginBegin (
  options: LoginBeginOptions, settings: LoginSettings
): (wish: LoginWish) => Promise<Begun> {
  const { config, clock, oidc, sessions } = options
  const resources = resourcesOf(config.routes)

  /** The sealed cookie of a login; a `return_to` with which it would not fit becomes the default page. */
  async function remember (
    intent: LoginIntent, own: OwnCookies
  ): Promise<{ login: LoginState, setCookies: string[] }> {
    const login = await createLoginState(intent, sessions.tickets, unixSeconds(clock))
    const setCookies = await sessions.logins.write(loginId(login.state) ?? '', login, own)
    const fits = (setCookies.at(-1)?.length ?? 0) <= MAX_LOGIN_COOKIE
    if (fits || intent.returnTo === config.default_return_to) return { login, setCookies }
    return await remember({ ...intent, returnTo: config.default_return_to }, own)
  }

  return async (wish) => {
    if (Array.isArray(wish.query.return_to)) {
      throw new BullaError('bad_request', { detail: 'return_to must be given once.' })
    }
    const params = allowedParams(wish.query, config.login_params)
    const metadata = await oidc.provider.metadata()
    const responseMode = settings.responseMode(wish.viaApp)
    checkPublished(params, metadata)
    checkSupport(metadata, oidc.client, responseMode)
    const returnTo = settings.returnTo(wish.query.return_to)
    const intent = intentOf(wish, params, config.authorization_params, returnTo)
    const { login, setCookies } = await remember(intent, wish.current.own)
    const url = await authorizationUrl({
      metadata,
      clientId: config.client_id,
      redirectUri: settings.redirectUri(wish.viaApp),
      scope: config.scope,
      responseMode,
      constants: config.authorization_params,
      resources,
      params,
      login
    })
    return { url, setCookies }
  }
}

/** The caller's wish decides whether this is a step up: the deployment's constants are in every login. */
function intentOf (wish: LoginWish, params: Params, constants: Params, returnTo: string): LoginIntent {
  const { session } = wish.current
  const asked: Params = { ...params, ...constants }
  return {
    returnTo,
    attempt: wish.attempt,
    viaApp: wish.viaApp,
    ...(asked.prompt === 'none' ? { silent: wish.silence } : {}),
    ...(asked.acr_values === undefined ? {} : { acrValues: asked.acr_values.split(' ') }),
    ...(asked.max_age === undefined ? {} : { maxAge: Number(asked.max_age) }),
    ...(session !== null && isStepUp(params) ? { expectedSubject: session.subject } : {})
  }
}

/**
 * Whether a login over a live session is about the same person (AUT-19): a stronger, a fresh, a silent
 * login, a new consent. A plain login or `prompt=select_account` may be somebody else's, and replaces the
 * session as a whole.
 *
 * @param params what the caller asked for, from `allowedParams`: what does not count cannot bind
 */
export function isStepUp (params: Params): boolean {
  const prompts = params.prompt?.split(' ') ?? []
  if (prompts.includes('select_account') || prompts.includes('create')) return false
  return params.acr_values !== undefined || params.max_age !== undefined ||
    prompts.some((prompt) => prompt === 'none' || prompt === 'login' || prompt === 'consent')
}
