// Saying goodbye to the authorization server: tokens revoked, and the URL that ends its own session.
import * as oauth from 'oauth4webapi'
import type { Session } from '../session/session.ts'
import type { OidcClient } from './client-auth.ts'

/** What the end-session URL is made of. */
export interface EndSession {
  readonly metadata: oauth.AuthorizationServer
  readonly clientId: string
  readonly idToken: string | undefined
  readonly postLogoutRedirectUri: string
  readonly state: string
}

/**
 * The URL that ends the session at the authorization server.
 *
 * @param request what it is made of
 * @returns the URL, or `null` if the provider has no such endpoint
 * @see https://openid.net/specs/openid-connect-rpinitiated-1_0.html
 */
export function endSessionUrl (request: EndSession): string | null {
  const endpoint = request.metadata.end_session_endpoint
  if (endpoint === undefined) return null
  const url = new URL(endpoint)
  if (request.idToken !== undefined) url.searchParams.set('id_token_hint', request.idToken)
  url.searchParams.set('client_id', request.clientId)
  url.searchParams.set('post_logout_redirect_uri', request.postLogoutRedirectUri)
  url.searchParams.set('state', request.state)
  return url.href
}

/**
 * Revokes a session's refresh token, then its access token. Best effort: what fails is told, not thrown.
 *
 * @param metadata of the provider
 * @param client who revokes
 * @param session whose tokens
 * @param onFailure is told of each token that may still live
 * @see https://www.rfc-editor.org/rfc/rfc7009
 */
export async function revokeTokens (
  metadata: oauth.AuthorizationServer, client: OidcClient, session: Session, onFailure: (error: unknown) => void
): Promise<void> {
  if (metadata.revocation_endpoint === undefined) return
  const tokens: Array<[string, string | undefined]> = [
    ['refresh_token', session.refreshToken], ['access_token', session.accessToken]
  ]
  for (const [hint, token] of tokens) {
    if (token === undefined) continue
    try {
      const response = await oauth.revocationRequest(metadata, client.client, client.auth, token, {
        ...client.callOptions(), additionalParameters: { token_type_hint: hint }
      })
      await oauth.processRevocationResponse(response)
    } catch (error) {
      onFailure(error)
    }
  }
}
