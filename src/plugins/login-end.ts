// The end of a login: whose answer it is, what it becomes, and what is left of it when it fails.
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { readAnswer, RefusedError } from '../oidc/answer.ts'
import { finishLogin } from '../oidc/callback.ts'
import { loginId, ticketOf, type LoginState, type Ticket } from '../oidc/login-state.ts'
import type { OwnCookies } from '../session/cookies.ts'
import { LOGIN_LIFETIME } from '../session/login-cookies.ts'
import type { Session } from '../session/session.ts'
import type { LoginSettings } from './login-settings.ts'
import type { Oidc } from './oidc.ts'
import type { Revocations } from './revocation.ts'
import type { Sessions } from './session.ts'

/** A session came of it. */
export interface Done {
  readonly kind: 'done'
  readonly login: LoginState
  readonly session: Session
  readonly setCookies: readonly string[]
}

/** None did. */
export interface Failed {
  readonly kind: 'failed'
  readonly login: LoginState
  /** Carries the deletion of the login's cookie. */
  readonly error: BullaError
  /** The provider's own code, if it gave one. */
  readonly refusal: string | undefined
}

/** No login of this browser is known under the answer's state; the ticket says what it once was. */
export interface Unknown {
  readonly kind: 'unknown'
  readonly ticket: Ticket | null
  readonly hasCode: boolean
  readonly mayRestart: boolean
}

/** How a login ended. */
export type Ending = Done | Failed | Unknown

/** What ending needs. */
export interface LoginEndOptions {
  readonly config: Config
  readonly clock: Clock
  readonly oidc: Oidc
  readonly sessions: Sessions
  readonly revocations: Revocations
  readonly log: FastifyBaseLogger
}

/**
 * Creates what ends logins.
 *
 * @param options what it needs
 * @param settings what the deployment decides
 */
export function createLoginEnd (
  options: LoginEndOptions, settings: LoginSettings
): (params: URLSearchParams, own: OwnCookies, viaApp: boolean) => Promise<Ending> {
  const { config, clock, oidc, sessions } = options

  /**
   * Whether this browser may well have begun the login that it lost: it took longer than its cookie lives, or
   * other logins of this browser pushed it out. A fresh answer in a browser that knows of no login is
   * somebody else's (AUT-05), and nothing starts by itself.
   */
  function isOwnLoss (ticket: Ticket, own: OwnCookies): boolean {
    const stem = sessions.cookies.name('login', '')
    if (unixSeconds(clock) >= ticket.startedAt + LOGIN_LIFETIME) return true
    return [...own.values.keys()].some((name) => name.startsWith(stem))
  }

  function unknown (answer: URLSearchParams, own: OwnCookies): Unknown {
    const ticket = ticketOf(answer.get('state'), sessions.tickets, config.default_return_to)
    const hasCode = (answer.get('code') ?? '') !== '' && !answer.has('error')
    return { kind: 'unknown', ticket, hasCode, mayRestart: ticket !== null && isOwnLoss(ticket, own) }
  }

  return async (params, own, viaApp) => {
    const answer = await readAnswer(params, {
      provider: oidc.provider,
      algorithms: config.id_token_signing_alg,
      clientId: config.client_id,
      responseMode: settings.responseMode(viaApp),
      now: clock()
    })
    const id = loginId(answer.get('state'))
    const kept = id === null ? null : sessions.logins.read(id, own)
    if (id === null || kept === null || kept === 'expired') return unknown(answer, own)
    const login = kept as LoginState
    const clear = sessions.logins.clear(id)
    try {
      if (login.viaApp !== viaApp) {
        throw new BullaError('callback_invalid', { cause: new Error('the answer took another way') })
      }
      const session = await finish(answer, login, options, settings.redirectUri(viaApp))
      return { kind: 'done', login, session, setCookies: [...await written(session, options), clear] }
    } catch (error) {
      if (!(error instanceof BullaError)) throw error
      const refusal = error.cause instanceof RefusedError ? error.cause.error : undefined
      const answered = settings.withWayOn(error, login.returnTo).withCookies([clear])
      return { kind: 'failed', login, refusal, error: answered }
    }
  }
}

async function finish (
  answer: URLSearchParams, login: LoginState, options: LoginEndOptions, redirectUri: string
): Promise<Session> {
  const { config, clock, oidc, revocations, log } = options
  return revocations.admit(await finishLogin(answer, login, {
    provider: oidc.provider,
    client: oidc.client,
    clock,
    algorithms: config.id_token_signing_alg,
    redirectUri,
    ownTarget: oidc.ownTarget,
    claims: config.claims,
    userinfo: config.userinfo,
    maxAge: config.session.max_age,
    onWasted: (tokens) => { revocations.revokeTokens(tokens) },
    onWithoutUserInfo: (cause) => {
      log.warn({ cause: describeError(cause) }, 'userinfo could not be read; the session has fewer claims')
    }
  }))
}

/**
 * The cookies of a new session, which take the place of every one before it (FIX-01). The tokens of a session
 * that it replaces are gone from the browser, but not revoked (FIX-02): a provider may keep one grant for all
 * logins of a person at a client, and would end the new tokens with the old ones (RFC 7009 section 2.1).
 */
async function written (session: Session, { sessions, revocations }: LoginEndOptions): Promise<string[]> {
  try {
    return await sessions.store.write(session, null)
  } catch (error) {
    revocations.revokeTokens(session)
    throw error
  }
}
