// The client as the authorization server knows it: its id, its way to authenticate, and the options of every
// call.
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { readClientKey, type ClientKey } from '../lib/client-key.ts'
import type { Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { CALL_TIMEOUT, type Fetch } from './http.ts'

/** The ways to authenticate. */
export type ClientAuthMethod = 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt'

/** The client and how it authenticates. */
export interface OidcClient {
  readonly client: oauth.Client
  readonly auth: oauth.ClientAuth
  readonly method: ClientAuthMethod
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
  /** For the `client_secret_…` methods. */
  readonly clientSecret?: string | undefined
  /** For `private_key_jwt`: JWK or PEM, checked before. */
  readonly clientKey?: string | undefined
  readonly clientAuth: ClientAuthMethod
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
  const insecure = options.issuer.startsWith('http:')
  return {
    client,
    auth: createAuth(options),
    method: options.clientAuth,
    callOptions: () => ({
      signal: AbortSignal.timeout(CALL_TIMEOUT),
      [oauth.customFetch]: options.fetch,
      [oauth.allowInsecureRequests]: insecure
    })
  }
}

function createAuth (options: OidcClientOptions): oauth.ClientAuth {
  const { clientAuth, clientSecret = '', clientKey = '' } = options
  if (clientAuth === 'private_key_jwt') return privateKeyJwt(readClientKey(clientKey))
  return clientAuth === 'client_secret_post' ? oauth.ClientSecretPost(clientSecret) : oauth.ClientSecretBasic(clientSecret)
}

/**
 * A signed assertion for each call: `aud` is the issuer identifier alone, `jti` fresh, valid for a minute.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7523 and draft-ietf-oauth-rfc7523bis (aud, typ)
 */
function privateKeyJwt (clientKey: ClientKey): oauth.ClientAuth {
  const pem = clientKey.key.export({ type: 'pkcs8', format: 'pem' }).toString()
  let ready: Promise<oauth.ClientAuth> | null = null
  const load = async (): Promise<oauth.ClientAuth> => {
    const key = await jose.importPKCS8(pem, clientKey.alg)
    return oauth.PrivateKeyJwt({ key, ...(clientKey.kid === undefined ? {} : { kid: clientKey.kid }) }, {
      [oauth.modifyAssertion]: (header) => { header.typ = 'client-authentication+jwt' }
    })
  }
  return async (as, client, body, headers) => {
    ready ??= load()
    await (await ready)(as, client, body, headers)
  }
}

/**
 * Holds the chosen settings against the metadata, so that nobody types a password for a login that cannot
 * end well.
 *
 * @param metadata of the provider
 * @param client whose method is checked
 * @param responseMode of the authorization request
 * @throws {BullaError} `idp_misconfigured` if the provider publishes what it supports and this is not among
 *   it
 */
export function checkSupport (
  metadata: oauth.AuthorizationServer, client: OidcClient, responseMode: string
): void {
  const methods = metadata.token_endpoint_auth_methods_supported
  if (Array.isArray(methods) && !methods.includes(client.method)) {
    throw new BullaError('idp_misconfigured', {
      cause: new Error(`client_auth is ${client.method}; the provider supports ${methods.join(', ')}`)
    })
  }
  const modes = metadata.response_modes_supported
  if (responseMode !== 'query' && Array.isArray(modes) && !modes.includes(responseMode)) {
    throw new BullaError('idp_misconfigured', {
      cause: new Error(`response_mode is ${responseMode}; the provider supports ${modes.join(', ')}`)
    })
  }
}
