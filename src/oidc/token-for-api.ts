// Tokens for one API: the client's own (client credentials), and exchanged ones that speak for a person.
import * as oauth from 'oauth4webapi'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { tokenFields } from './callback.ts'
import type { OidcClient } from './client-auth.ts'
import type { Provider } from './provider.ts'
import { tokenAnswer, type TokenFault } from './token-answer.ts'
import { targetParams, type TokenTarget } from './token-target.ts'

/** A token for one API; times are Unix seconds. */
export interface ApiToken {
  readonly accessToken: string
  readonly issuedAt: number
  readonly expiresAt: number
}

/** What became of the wish for a token. */
export type ApiTokenOutcome = { readonly kind: 'token', readonly token: ApiToken } | TokenFault

/** What asking needs. */
export interface ApiTokenOptions {
  readonly provider: Provider
  readonly client: OidcClient
  readonly clock: Clock
}

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

/** What an exchanged token may call itself: a JWT can be an access token. */
const USABLE_TYPES: readonly unknown[] = [ACCESS_TOKEN, 'urn:ietf:params:oauth:token-type:jwt']

/**
 * A token of the client itself. Never throws.
 *
 * @param target what it is for
 * @param options what it needs
 * @param limit milliseconds that the call may take, if less than usual
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-4.4
 */
export async function clientToken (
  target: TokenTarget, options: ApiTokenOptions, limit?: number
): Promise<ApiTokenOutcome> {
  const params = targetParams(target)
  return await asked(target, options, limit, false, async (metadata, { client, auth }, callOptions) =>
    await oauth.clientCredentialsGrantRequest(metadata, client, auth, params, callOptions))
}

/**
 * Exchanges a person's access token for one of another API. Never throws, and says nothing of the session:
 * that a token cannot be exchanged does not end it (TEX-02).
 *
 * @param subjectToken the person's access token
 * @param target what the new one is for
 * @param options what it needs
 * @param limit milliseconds that the call may take, if less than usual
 * @see https://www.rfc-editor.org/rfc/rfc8693#section-2
 */
export async function exchangedToken (
  subjectToken: string, target: TokenTarget, options: ApiTokenOptions, limit?: number
): Promise<ApiTokenOutcome> {
  const params = {
    subject_token: subjectToken,
    subject_token_type: ACCESS_TOKEN,
    requested_token_type: ACCESS_TOKEN,
    ...targetParams(target)
  }
  return await asked(target, options, limit, true, async (metadata, { client, auth }, callOptions) =>
    await oauth.genericTokenEndpointRequest(metadata, client, auth, TOKEN_EXCHANGE, params, callOptions))
}

type Ask = (
  metadata: oauth.AuthorizationServer, client: OidcClient, options: ReturnType<OidcClient['callOptions']>
) => Promise<Response>

async function asked (
  target: TokenTarget, options: ApiTokenOptions, limit: number | undefined, isExchange: boolean, ask: Ask
): Promise<ApiTokenOutcome> {
  const { provider, client, clock } = options
  try {
    const metadata = await provider.metadata()
    const callOptions = client.callOptions()
    if (limit !== undefined) callOptions.signal = AbortSignal.timeout(limit)
    const answer = await tokenAnswer(await ask(metadata, client, callOptions))
    if (answer.kind !== 'tokens') return answer
    const response = Response.json(answer.body)
    const tokens = await oauth.processGenericTokenEndpointResponse(metadata, client.client, response)
    const flaw = isExchange && !USABLE_TYPES.includes(tokens.issued_token_type)
      ? 'the exchanged token is no access token (issued_token_type)'
      : flawOf(tokens, target)
    if (flaw !== null) return { kind: 'misconfigured', cause: new Error(flaw), isEveryones: false }
    return { kind: 'token', token: tokenOf(tokens, unixSeconds(clock)) }
  } catch (cause) {
    const isOurs = cause instanceof BullaError && cause.code === 'idp_misconfigured'
    return { kind: isOurs ? 'misconfigured' : 'transient', cause, isEveryones: true }
  }
}

/**
 * Why a token of an answer cannot be used for a target; `null` if it can. A token that may do more than was
 * asked for is not used (TEX-01).
 *
 * @param tokens the answer, checked by the library
 * @param target what was asked for
 */
export function flawOf (tokens: oauth.TokenEndpointResponse, target: TokenTarget): string | null {
  if (tokens.token_type !== 'bearer') return 'the token is no bearer token (token_type)'
  if (target.scope === undefined || tokens.scope === undefined) return null
  const wanted = target.scope.split(' ')
  const isWider = tokens.scope.split(' ').some((word) => word !== '' && !wanted.includes(word))
  return isWider ? 'the token has more scope than was asked for' : null
}

/**
 * The token of an answer.
 *
 * @param tokens the answer, checked
 * @param now Unix seconds
 */
export function tokenOf (tokens: oauth.TokenEndpointResponse, now: number): ApiToken {
  const { accessToken, accessTokenExpiresAt: expiresAt } = tokenFields(tokens, now)
  return { accessToken, issuedAt: now, expiresAt }
}
