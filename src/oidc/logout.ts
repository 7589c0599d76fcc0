// Saying goodbye to the authorization server: how its own session is ended, and tokens revoked.
import * as oauth from 'oauth4webapi'
import type { Session } from '../session/session.ts'
import type { OidcClient } from './client-auth.ts'

/** What an end-session request is made of. */
export interface EndSessionOptions {
  readonly metadata: oauth.AuthorizationServer
  readonly clientId: string
  readonly session: Session
  readonly postLogoutRedirectUri: string
  /** Comes back with the browser; nothing is done by it, so nothing needs to be remembered. */
  readonly state: string
}

/** A request to the end-session endpoint; sent as a URL or as a form. */
export interface EndSession {
  readonly endpoint: string
  readonly params: Readonly<Record<string, string>>
}

/** The longest URL that is handed out: old proxies take 4,096 characters in a request line (RPI-10). */
const MAX_URL = 4000

/**
 * The request that ends the session at the authorization server. Without ID token `logout_hint` says who
 * leaves: the opaque `login_hint` claim if there is one, else the provider's `sid`; never a name or address.
 *
 * @param options what it is made of
 * @returns the request, or `null` if the provider has no such endpoint
 * @see https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout
 */
export function endSession (options: EndSessionOptions): EndSession | null {
  const { metadata, clientId, session, postLogoutRedirectUri, state } = options
  const endpoint = metadata.end_session_endpoint
  if (endpoint === undefined || !URL.canParse(endpoint)) return null
  const hint = session.claims.login_hint ?? session.providerSid
  const who = session.idToken === undefined
    ? (typeof hint === 'string' ? { logout_hint: hint } : {})
    : { id_token_hint: session.idToken }
  const back = { client_id: clientId, post_logout_redirect_uri: postLogoutRedirectUri, state }
  return { endpoint, params: { ...who, ...back } }
}

/**
 * An end-session request as a URL.
 *
 * @param request from {@link endSession}
 * @returns the URL, or `null` if it would be too long
 */
export function endSessionUrl ({ endpoint, params }: EndSession): string | null {
  const url = new URL(endpoint)
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value)
  return url.href.length <= MAX_URL ? url.href : null
}

/**
 * The same request without the ID token: the provider may ask the person once more.
 *
 * @param request from {@link endSession}
 */
export function withoutHint ({ endpoint, params }: EndSession): EndSession {
  const { id_token_hint: _long, ...rest } = params
  return { endpoint, params: rest }
}

/** What became of one token. */
export type RevocationOutcome =
  | { readonly kind: 'revoked' }
  | { readonly kind: 'failed', readonly hint: string, readonly cause: unknown }

/** Milliseconds for all revocations of a session together. */
const REVOCATION_TIMEOUT = 5_000

/**
 * Revokes a session's refresh token, then its access token. Best effort: what fails is told, not thrown.
 *
 * @param metadata of the provider
 * @param client who revokes
 * @param tokens the session, or what a failed login was issued
 * @returns what became of each token; none if the provider has no such endpoint
 * @see https://www.rfc-editor.org/rfc/rfc7009
 */
export async function revokeTokens (
  metadata: oauth.AuthorizationServer, client: OidcClient, tokens: Partial<Pick<Session, 'refreshToken' | 'accessToken'>>
): Promise<RevocationOutcome[]> {
  if (metadata.revocation_endpoint === undefined) return []
  const signal = AbortSignal.timeout(REVOCATION_TIMEOUT)
  const outcomes: RevocationOutcome[] = []
  for (const [hint, token] of [['refresh_token', tokens.refreshToken], ['access_token', tokens.accessToken]] as const) {
    if (token === undefined) continue
    try {
      const response = await oauth.revocationRequest(metadata, client.client, client.auth, token, {
        ...client.callOptions(), signal, additionalParameters: { token_type_hint: hint }
      })
      await oauth.processRevocationResponse(response)
      outcomes.push({ kind: 'revoked' })
    } catch (cause) {
      outcomes.push({ kind: 'failed', hint, cause })
    }
  }
  return outcomes
}
