// The authorization response: which login it answers, and whether it is genuine, before anything of it is
// used.
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { BullaError } from '../lib/errors.ts'
import type { ResponseMode } from './authorize.ts'
import { CLOCK_TOLERANCE } from './client-auth.ts'
import type { Provider } from './provider.ts'

/** What an answer is held against. */
export interface AnswerExpectation {
  readonly provider: Provider
  readonly clientId: string
  readonly algorithms: readonly string[]
  readonly responseMode: ResponseMode
  /** Unix milliseconds. */
  readonly now: number
}

/**
 * The parameters of an answer, out of the signed response where the mode is a JWT mode (JARM). Of a signed
 * response
 * nothing is looked at before its signature, issuer, audience and expiry hold.
 *
 * @param params as they came
 * @param expected what they are held against
 * @throws {BullaError} `callback_invalid` for what is repeated, of another mode, or not genuine
 * @see https://openid.net/specs/oauth-v2-jarm.html#section-2.4
 */
export async function readAnswer (
  params: URLSearchParams, expected: AnswerExpectation
): Promise<URLSearchParams> {
  refuseRepeated(params)
  const response = params.get('response')
  const isSigned = expected.responseMode === 'jwt' || expected.responseMode === 'form_post.jwt'
  if (isSigned !== (response !== null && response !== '')) throw invalid('the answer is of another response mode')
  return response === null || !isSigned ? params : await signedAnswer(params, response, expected)
}

/**
 * RFC 6749 section 3.1: no parameter comes twice; the array spellings of query parsers count as the same
 * name.
 */
function refuseRepeated (params: URLSearchParams): void {
  const seen = new Set<string>()
  for (const name of params.keys()) {
    const bare = name.replace(/\[.*$/, '')
    if (seen.has(bare) || bare !== name) throw invalid('a parameter came twice')
    seen.add(bare)
  }
}

async function signedAnswer (
  outer: URLSearchParams, response: string, expected: AnswerExpectation
): Promise<URLSearchParams> {
  const keys = await expected.provider.keys()
  let payload: jose.JWTPayload
  try {
    ({ payload } = await jose.jwtVerify(response, keys, {
      issuer: expected.provider.issuer,
      audience: expected.clientId,
      algorithms: [...expected.algorithms],
      requiredClaims: ['iss', 'aud', 'exp'],
      clockTolerance: CLOCK_TOLERANCE,
      currentDate: new Date(expected.now)
    }))
  } catch (error) {
    if (error instanceof BullaError) throw error
    throw invalid('the signed response does not hold', error)
  }
  // AUT-16: every issuer that the answer names is the same one.
  if ((outer.get('iss') ?? '') !== '' && outer.get('iss') !== payload.iss) throw invalid('iss differs from the signed one')
  const inner = new URLSearchParams()
  for (const [name, value] of Object.entries(payload)) {
    if (name !== 'aud' && name !== 'exp' && typeof value === 'string') inner.set(name, value)
  }
  return inner
}

const TEMPORARY = ['temporarily_unavailable', 'server_error']

/** What a provider answers to a login that may show nothing. @see OpenID Connect Core 3.1.2.6 */
export const NOT_SILENTLY: readonly string[] = [
  'login_required', 'interaction_required', 'consent_required', 'account_selection_required'
]

/** The provider refused; `error` is one of its codes, cut and cleaned, for the log. */
export class RefusedError extends Error {
  readonly error: string

  constructor (error: string) {
    super(`the provider answered ${error}`)
    this.name = 'RefusedError'
    this.error = error
  }
}

/**
 * Validates an answer: `iss` and `state` first, then what it says.
 *
 * @param params from {@link readAnswer}
 * @param state of the login that it should answer
 * @param metadata of the provider
 * @param client ours
 * @returns the answer, fit for the code exchange
 * @throws {BullaError} `callback_invalid`, `login_denied`, `idp_unavailable`, `idp_misconfigured`; the cause
 *   of the
 *   provider's own refusals is a {@link RefusedError}
 */
export function validateAnswer (
  params: URLSearchParams, state: string, metadata: oauth.AuthorizationServer, client: oauth.Client
): URLSearchParams {
  let checked: URLSearchParams
  try {
    checked = oauth.validateAuthResponse(metadata, client, params, state)
  } catch (error) {
    if (error instanceof oauth.AuthorizationResponseError) throw refusalOf(params.get('error') ?? '')
    throw invalid('the answer does not belong to this login', error)
  }
  // BBA-02: a response that carries tokens belongs to a flow that we never start.
  for (const name of ['access_token', 'id_token', 'token']) if (params.has(name)) throw invalid('the answer carries a token')
  if ((params.get('code') ?? '') === '') throw invalid('there is no code and no error')
  return checked
}

function refusalOf (error: string): BullaError {
  const cause = new RefusedError(/^[\w.-]{1,64}$/.test(error) ? error : 'an unreadable error')
  if (error === 'access_denied') return new BullaError('login_denied', { cause })
  if (TEMPORARY.includes(error)) return new BullaError('idp_unavailable', { cause, retryAfter: 5 })
  if (NOT_SILENTLY.includes(error) || error === 'unmet_authentication_requirements') return new BullaError('login_denied', { cause })
  return new BullaError('idp_misconfigured', { cause })
}

function invalid (why: string, cause?: unknown): BullaError {
  return new BullaError('callback_invalid', { cause: new Error(why, cause === undefined ? {} : { cause }) })
}
