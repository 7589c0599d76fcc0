// The code becomes tokens: one call, never repeated, and every fault of it sorted by whose fault it is.
import * as oauth from 'oauth4webapi'
import { BullaError } from '../lib/errors.ts'
import type { OidcClient } from './client-auth.ts'
import type { LoginState } from './login-state.ts'
import { targetParams, type TokenTarget } from './token-target.ts'

/** What the exchange needs. */
export interface CodeExchange {
  readonly metadata: oauth.AuthorizationServer
  readonly client: OidcClient
  readonly redirectUri: string
  readonly login: LoginState
  /** What the session's own tokens are for, if that is said at the token endpoint. */
  readonly ownTarget?: TokenTarget | undefined
}

/** Tokens that an answer held, whatever else is wrong with it: what there is to revoke. */
export interface IssuedTokens { readonly accessToken?: string, readonly refreshToken?: string }

/**
 * Exchanges the code. The answer's shape and the nonce are checked; the ID token's signature is the caller's.
 *
 * @param answer from `validateAnswer`
 * @param exchange what it needs
 * @param onIssued is told of the tokens as soon as there are any, before they are checked
 * @throws {BullaError} `callback_invalid`, `idp_unavailable`, `idp_misconfigured`
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3
 */
export async function exchangeCode (
  answer: URLSearchParams, exchange: CodeExchange, onIssued: (tokens: IssuedTokens) => void
): Promise<oauth.TokenEndpointResponse> {
  const { metadata, client, login } = exchange
  let issued: IssuedTokens = {}
  try {
    const { client: self, auth } = client
    const response = await received(await oauth.authorizationCodeGrantRequest(
      metadata, self, auth, answer, exchange.redirectUri, login.codeVerifier,
      { ...client.callOptions(), additionalParameters: targetParams(exchange.ownTarget ?? {}) }
    ))
    issued = await peek(response)
    onIssued(issued)
    return await oauth.processAuthorizationCodeResponse(metadata, client.client, response, {
      expectedNonce: login.nonce, requireIdToken: true
    })
  } catch (error) {
    // Tokens came, and something about them does not hold: that is no fault of the network or the settings.
    throw issued.accessToken === undefined ? sorted(error) : new BullaError('callback_invalid', { cause: error })
  }
}

/**
 * The whole answer; statuses that speak of the server's state and not of the request are temporary faults.
 */
async function received (response: Response): Promise<Response> {
  if (response.status >= 500 || response.status === 429) {
    throw new BullaError('idp_unavailable', {
      cause: new Error(`the token endpoint answered ${response.status}`), retryAfter: 5
    })
  }
  const text = await response.text()
  return new Response(text, { status: response.status, headers: response.headers })
}

async function peek (response: Response): Promise<IssuedTokens> {
  if (response.status !== 200) return {}
  const body: unknown = await response.clone().json().catch(() => null)
  const { access_token: accessToken, refresh_token: refreshToken } = Object(body) as Record<string, unknown>
  return {
    ...(typeof accessToken === 'string' && accessToken !== '' ? { accessToken } : {}),
    ...(typeof refreshToken === 'string' && refreshToken !== '' ? { refreshToken } : {})
  }
}

function sorted (error: unknown): BullaError {
  if (error instanceof BullaError) return error
  if (error instanceof oauth.ResponseBodyError) {
    const code = error.error === 'invalid_grant' ? 'callback_invalid' : 'idp_misconfigured'
    const named = /^[\w.-]{1,64}$/.test(error.error) ? error.error : 'an unreadable error'
    return new BullaError(code, { cause: new Error(`the token endpoint answered ${error.status} ${named}`) })
  }
  const isRefused = error instanceof oauth.WWWAuthenticateChallengeError
  if (isRefused || error instanceof oauth.UnsupportedOperationError) {
    return new BullaError('idp_misconfigured', { cause: error })
  }
  if (error instanceof oauth.OperationProcessingError && !NO_ANSWER.includes(error.code ?? '')) {
    return new BullaError('callback_invalid', { cause: error })
  }
  return new BullaError('idp_unavailable', { cause: error, retryAfter: 5 })
}

/**
 * Faults that mean that something else than the token endpoint answered: a balancer, a captive portal, a
 * redirect.
 */
const NO_ANSWER: readonly string[] = [
  oauth.RESPONSE_IS_NOT_CONFORM, oauth.RESPONSE_IS_NOT_JSON, oauth.PARSE_ERROR
]
