// The authorization request: code flow with PKCE S256, state and nonce, and only such parameters as are allowed.
import * as oauth from 'oauth4webapi'
import { BullaError } from '../lib/errors.ts'
import type { LoginState } from './login-state.ts'

/** What the request is made of. */
export interface AuthorizationRequest {
  readonly metadata: oauth.AuthorizationServer
  readonly clientId: string
  readonly redirectUri: string
  readonly scope: string
  /** Constants of the deployment. */
  readonly constants: Readonly<Record<string, string>>
  /** What the caller of login asked for, already filtered. */
  readonly params: Readonly<Record<string, string>>
  readonly login: LoginState
}

/**
 * The URL that starts a login at the authorization server.
 *
 * @param request what it is made of
 * @throws {BullaError} `idp_misconfigured` if the metadata has no authorization endpoint
 * @see https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1 (PKCE)
 */
export async function authorizationUrl (request: AuthorizationRequest): Promise<string> {
  const endpoint = request.metadata.authorization_endpoint
  if (endpoint === undefined) {
    throw new BullaError('idp_misconfigured', { cause: new Error('the metadata has no authorization_endpoint') })
  }
  const url = new URL(endpoint)
  const parameters = {
    ...request.params,
    ...request.constants,
    client_id: request.clientId,
    redirect_uri: request.redirectUri,
    response_type: 'code',
    scope: request.scope,
    state: request.login.state,
    nonce: request.login.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(request.login.codeVerifier),
    code_challenge_method: 'S256'
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.href
}

/**
 * The parameters that a caller of login passed and the deployment allows.
 *
 * @param query as parsed; repeated parameters are arrays
 * @param allowed the names of the allow-list
 * @throws {BullaError} `bad_request` for a repeated or overlong value
 */
export function allowedParams (query: Readonly<Record<string, unknown>>, allowed: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {}
  for (const name of allowed) {
    const value = query[name]
    if (value === undefined || value === '') continue
    if (typeof value !== 'string' || value.length > 512) {
      throw new BullaError('bad_request', { detail: `The parameter ${name} must be given once, with at most 512 characters.` })
    }
    params[name] = value
  }
  return params
}
