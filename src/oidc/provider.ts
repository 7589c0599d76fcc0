// The authorization server as it describes itself: metadata and keys, fetched once, checked, the last good
// ones kept.
import type * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { BullaError } from '../lib/errors.ts'
import { isLoopback } from '../lib/loopback.ts'
import { printable } from '../lib/redact.ts'
import { CALL_TIMEOUT, type Fetch } from './http.ts'
import { createKeySet } from './jwks.ts'

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
  /** Milliseconds, monotonic. Default: `performance.now`. */
  readonly now?: () => number
}

/** Milliseconds after which metadata is fetched anew; the old one is used until the new one is there. */
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
  const now = options.now ?? (() => performance.now())
  let known: oauth.AuthorizationServer | null = null
  let keys: { uri: string, get: jose.JWTVerifyGetKey } | null = null
  let fetchedAt = -Infinity
  let failure: { at: number, error: unknown } | null = null
  let inFlight: Promise<oauth.AuthorizationServer> | null = null

  async function load (): Promise<oauth.AuthorizationServer> {
    try {
      known = await discover(options)
      fetchedAt = now()
      failure = null
      return known
    } catch (error) {
      failure = { at: now(), error }
      throw error
    } finally {
      inFlight = null
    }
  }

  async function metadata (): Promise<oauth.AuthorizationServer> {
    const time = now()
    if (known !== null && time - fetchedAt < METADATA_TTL) return known
    const mayTry = failure === null || time - failure.at >= RETRY_AFTER
    if (mayTry) inFlight ??= load()
    if (known !== null) {
      // The last good metadata serves on; whether the new one came is seen the next time (DIS-06).
      inFlight?.catch(() => undefined)
      return known
    }
    if (inFlight !== null) return await inFlight
    throw failure?.error
  }

  return {
    issuer: options.issuer,
    metadata,
    get known () { return known },
    keys: async () => {
      const uri = (await metadata()).jwks_uri ?? ''
      if (keys?.uri !== uri) keys = { uri, get: createKeySet({ uri, fetch: options.fetch, now }) }
      return keys.get
    }
  }
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
    if (response.status >= 500 || response.status === 429) throw new Error(`discovery answered ${response.status}`)
    // The body is read here: what breaks off in the middle is a fault of the network, not of the document.
    response = new Response(await response.text(), { status: response.status, headers: response.headers })
  } catch (error) {
    throw new BullaError('idp_unavailable', { cause: error, retryAfter: 5 })
  }
  return await checkMetadata(issuer, response, options.issuer)
}

async function checkMetadata (
  issuer: URL, response: Response, expected: string
): Promise<oauth.AuthorizationServer> {
  try {
    const metadata = await oauth.processDiscoveryResponse(issuer, response)
    // DIS-01: the library compares after URL normalisation; the standard asks for the same characters.
    if (metadata.issuer !== expected) {
      throw new Error(`the metadata names another issuer: ${printable(metadata.issuer)}; set issuer to exactly that if it is right`)
    }
    for (const name of REQUIRED) if (typeof metadata[name] !== 'string') throw new Error(`the metadata has no ${name}`)
    for (const [name, value] of Object.entries(metadata)) {
      if (!/(_endpoint|_uri)$/.test(name) || typeof value !== 'string' || /^(op_|service_)/.test(name)) continue
      if (!isSafe(value, issuer)) throw new Error(`${name} is no https URL`)
    }
    return metadata
  } catch (error) {
    throw new BullaError('idp_misconfigured', { cause: error })
  }
}

const REQUIRED = ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const

/** DIS-02: https; http on loopback only, and only beside an issuer that is there too. */
function isSafe (value: string, issuer: URL): boolean {
  if (!URL.canParse(value)) return false
  const url = new URL(value)
  return url.protocol === 'https:' ||
    (url.protocol === 'http:' && issuer.protocol === 'http:' && isLoopback(url.hostname))
}
