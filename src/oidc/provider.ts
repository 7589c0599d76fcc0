// The authorization server as it describes itself: metadata and keys, fetched once, checked, the last good ones kept.
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { BullaError } from '../lib/errors.ts'
import { CALL_TIMEOUT, type Fetch } from './http.ts'

/** The provider's metadata and keys. */
export interface Provider {
  readonly issuer: string
  /** The metadata; fetched at first use. @throws {BullaError} `idp_unavailable`, `idp_misconfigured` */
  metadata (): Promise<oauth.AuthorizationServer>
  /** The metadata if it has been fetched. */
  readonly known: oauth.AuthorizationServer | null
  /** Finds the key of a JWT of this provider. */
  keys (): Promise<jose.JWTVerifyGetKey>
}

/** What the provider needs. */
export interface ProviderOptions {
  readonly issuer: string
  readonly fetch: Fetch
}

/** Milliseconds after which metadata is fetched anew. */
const METADATA_TTL = 600_000

/** Milliseconds after a failed discovery during which the failure stands. */
const RETRY_AFTER = 1_000

/**
 * Creates the provider. Nothing is fetched before it is asked for.
 *
 * @param options what it needs
 * @see https://openid.net/specs/openid-connect-discovery-1_0.html
 */
export function createProvider (options: ProviderOptions): Provider {
  let known: oauth.AuthorizationServer | null = null
  let keys: { uri: string, get: jose.JWTVerifyGetKey } | null = null
  let fetchedAt = -Infinity
  let failure: { at: number, error: BullaError } | null = null
  let inFlight: Promise<oauth.AuthorizationServer> | null = null

  async function metadata (): Promise<oauth.AuthorizationServer> {
    const now = performance.now()
    if (known !== null && now - fetchedAt < METADATA_TTL) return known
    if (failure !== null && now - failure.at < RETRY_AFTER) return fallback(failure.error)
    inFlight ??= discover(options).finally(() => { inFlight = null })
    try {
      known = await inFlight
      fetchedAt = performance.now()
      failure = null
      return known
    } catch (error) {
      failure = { at: performance.now(), error: error as BullaError }
      return fallback(failure.error)
    }
  }

  function fallback (error: BullaError): oauth.AuthorizationServer {
    if (known === null) throw error
    return known
  }

  return {
    issuer: options.issuer,
    metadata,
    get known () { return known },
    keys: async () => {
      const uri = (await metadata()).jwks_uri
      if (uri === undefined) throw new BullaError('idp_misconfigured', { cause: new Error('the metadata has no jwks_uri') })
      if (keys?.uri !== uri) keys = { uri, get: remoteKeys(uri, options.fetch) }
      return keys.get
    }
  }
}

function remoteKeys (uri: string, fetch: Fetch): jose.JWTVerifyGetKey {
  return jose.createRemoteJWKSet(new URL(uri), {
    timeoutDuration: CALL_TIMEOUT,
    cooldownDuration: 1_000,
    [jose.customFetch]: fetch
  })
}

async function discover (options: ProviderOptions): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(options.issuer)
  let response: Response
  try {
    response = await oauth.discoveryRequest(issuer, {
      algorithm: 'oidc',
      signal: AbortSignal.timeout(CALL_TIMEOUT),
      [oauth.customFetch]: options.fetch,
      [oauth.allowInsecureRequests]: issuer.protocol === 'http:'
    })
    if (response.status >= 500) throw new Error(`discovery answered ${response.status}`)
  } catch (error) {
    throw new BullaError('idp_unavailable', { cause: error, retryAfter: 5 })
  }
  return await checkMetadata(issuer, response, options.issuer)
}

async function checkMetadata (issuer: URL, response: Response, expected: string): Promise<oauth.AuthorizationServer> {
  try {
    const metadata = await oauth.processDiscoveryResponse(issuer, response)
    // DIS-01: the library compares after URL normalisation; the standard asks for the same characters.
    if (metadata.issuer !== expected) throw new Error('the metadata names another issuer')
    for (const [name, value] of Object.entries(metadata)) {
      if (!/(_endpoint|_uri)$/.test(name) || typeof value !== 'string' || /^(op_|service_)/.test(name)) continue
      if (issuer.protocol === 'https:' && !value.startsWith('https://')) throw new Error(`${name} is not https`)
    }
    return metadata
  } catch (error) {
    throw new BullaError('idp_misconfigured', { cause: error })
  }
}
