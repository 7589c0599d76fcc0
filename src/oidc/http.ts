// How the authorization server is called: TLS verified, no redirects, time and size limits, one connection pool.
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import { Agent, fetch as undiciFetch } from 'undici'

/** Milliseconds for a call to the authorization server. */
export const CALL_TIMEOUT = 10_000

/** The most bytes of an answer of the authorization server. */
const MAX_RESPONSE = 1024 * 1024

/** Fetches like the standard's `fetch`; what the rest of this room is handed. */
export type Fetch = (url: string, init: object) => Promise<Response>

/** A fetch with the pool behind it. */
export interface ProviderHttp { readonly fetch: Fetch, close (): Promise<void> }

/**
 * Creates the HTTP client for the authorization server.
 *
 * @param caFile a file with further CA certificates; default: the system's only
 */
export function createProviderHttp (caFile?: string): ProviderHttp {
  const agent = new Agent({
    connections: 32,
    maxResponseSize: MAX_RESPONSE,
    headersTimeout: CALL_TIMEOUT,
    bodyTimeout: CALL_TIMEOUT,
    connect: {
      timeout: 5_000,
      ...(caFile === undefined ? {} : { ca: [...rootCertificates, readFileSync(caFile, 'utf8')] })
    }
  })
  const fetch: Fetch = async (url, init) => {
    const options = { ...init, dispatcher: agent, redirect: 'manual' as const }
    return await undiciFetch(url, options) as unknown as Response
  }
  return { fetch, close: async () => { await agent.close() } }
}
