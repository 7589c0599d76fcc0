// The authorization request: code flow with PKCE S256, state and nonce, and only such parameters as are
// allowed.
import * as oauth from 'oauth4webapi'
import { BullaError } from '../lib/errors.ts'
import type { LoginState } from './login-state.ts'

/** How the answer comes back. */
export type ResponseMode = 'query' | 'form_post' | 'jwt' | 'form_post.jwt'

/** What the request is made of. */
export interface AuthorizationRequest {
  readonly metadata: oauth.AuthorizationServer
  readonly clientId: string
  readonly redirectUri: string
  readonly scope: string
  readonly responseMode: ResponseMode
  /** Constants of the deployment. */
  readonly constants: Readonly<Record<string, string>>
  /** The APIs that tokens will be asked for (RFC 8707), beyond one that the constants name. */
  readonly resources: readonly string[]
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
    ...(request.responseMode === 'query' ? {} : { response_mode: request.responseMode }),
    scope: request.scope,
    state: request.login.state,
    nonce: request.login.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(request.login.codeVerifier),
    code_challenge_method: 'S256'
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  for (const resource of request.resources) {
    if (resource !== request.constants.resource) url.searchParams.append('resource', resource)
  }
  return url.href
}

/** The parameters that a caller may ever pass, if the deployment allows each. */
export const LOGIN_PARAMS = ['prompt', 'login_hint', 'acr_values', 'max_age', 'ui_locales'] as const

/** What each value must look like: bounded, of the characters that the standard gives it (STP-02). */
const FORMS: Readonly<Record<string, RegExp>> = {
  prompt: /^[a-z_]{1,32}( [a-z_]{1,32}){0,4}$/,
  acr_values: /^[!-~]{1,256}( [!-~]{1,256}){0,9}$/,
  max_age: /^\d{1,9}$/,
  ui_locales: /^[A-Za-z0-9-]{1,35}( [A-Za-z0-9-]{1,35}){0,9}$/,
  login_hint: /^[^\p{Cc}\p{Cs}]{1,512}$/u
}

/**
 * The parameters that a caller of login passed and the deployment allows.
 *
 * @param query as parsed; repeated parameters are arrays
 * @param allowed the names of the allow-list
 * @throws {BullaError} `bad_request` for a repeated, overlong or malformed value
 */
export function allowedParams (
  query: Readonly<Record<string, unknown>>, allowed: readonly string[]
): Record<string, string> {
  const params: Record<string, string> = {}
  for (const name of LOGIN_PARAMS) {
    const value = allowed.includes(name) ? query[name] : undefined
    if (value === undefined || value === '' || value === null) continue
    const text = typeof value === 'number' ? String(value) : value
    if (typeof text !== 'string' || text.length > 512 || FORMS[name]?.test(text) !== true) {
      throw new BullaError('bad_request', { detail: `The parameter ${name} must be given once, well-formed, with at most 512 characters.` })
    }
    params[name] = text
  }
  const prompts = params.prompt?.split(' ') ?? []
  if (prompts.includes('none') && (prompts.length > 1 || params.max_age === '0')) {
    throw new BullaError('bad_request', { detail: 'prompt=none stands alone, and cannot ask for max_age=0.' })
  }
  return params
}

/** The parameters whose possible values a provider may publish. */
const PUBLISHED = [
  ['prompt', 'prompt_values_supported'], ['acr_values', 'acr_values_supported'], ['ui_locales', 'ui_locales_supported']
] as const

/**
 * Holds parameters against the values that the provider publishes.
 *
 * @param params what the caller asked for
 * @param metadata of the provider
 * @throws {BullaError} `bad_request` for a value outside of them
 */
export function checkPublished (
  params: Readonly<Record<string, string>>, metadata: oauth.AuthorizationServer
): void {
  for (const [name, list] of PUBLISHED) {
    const published = metadata[list]
    if (params[name] === undefined || !Array.isArray(published) || published.length === 0) continue
    const known = name === 'ui_locales' ? published.map((value) => String(value).toLowerCase()) : published
    const isKnown = (value: string): boolean => known.includes(name === 'ui_locales' ? value.toLowerCase() : value)
    if (!params[name].split(' ').every(isKnown)) {
      throw new BullaError('bad_request', { detail: `The authorization server does not know this ${name}.` })
    }
  }
}
