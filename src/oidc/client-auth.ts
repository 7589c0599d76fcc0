// The client as the authorization server knows it: its id, its way to authenticate, and the options of every call.
import * as oauth from 'oauth4webapi'
import type { Clock } from '../lib/clock.ts'
import { CALL_TIMEOUT, type Fetch } from './http.ts'

/** The client and how it authenticates. */
export interface OidcClient {
  readonly client: oauth.Client
  readonly auth: oauth.ClientAuth
  /** Options for a call to the token, revocation or another endpoint; a new time limit each. */
  callOptions (): CallOptions
}

/** Options that every back-channel call gets. */
export interface CallOptions {
  signal: AbortSignal
  [oauth.customFetch]: Fetch
  [oauth.allowInsecureRequests]: boolean
}

/** What the client needs. */
export interface OidcClientOptions {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly clientAuth: 'client_secret_basic' | 'client_secret_post'
  readonly clock: Clock
  readonly fetch: Fetch
}

/** Seconds that the provider's clock may differ from ours. */
export const CLOCK_TOLERANCE = 30

/**
 * Creates the client.
 *
 * @param options what it needs
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-2.3
 */
export function createOidcClient (options: OidcClientOptions): OidcClient {
  const client: oauth.Client = {
    client_id: options.clientId,
    [oauth.clockTolerance]: CLOCK_TOLERANCE,
    get [oauth.clockSkew] () { return Math.round((options.clock() - Date.now()) / 1000) }
  }
  const auth = options.clientAuth === 'client_secret_post'
    ? oauth.ClientSecretPost(options.clientSecret)
    : oauth.ClientSecretBasic(options.clientSecret)
  const insecure = options.issuer.startsWith('http:')
  return {
    client,
    auth,
    callOptions: () => ({
      signal: AbortSignal.timeout(CALL_TIMEOUT),
      [oauth.customFetch]: options.fetch,
      [oauth.allowInsecureRequests]: insecure
    })
  }
}
