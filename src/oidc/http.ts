// How the authorization server is called: TLS verified, no redirects, time and size limits, one pool.
import { Agent, fetch as undiciFetch } from 'undici'
import { trustedCertificates } from '../lib/certificates.ts'

/**
 * Milliseconds for a whole call to the authorization server, from connecting to the last byte of the answer.
 */
export const CALL_TIMEOUT = 10_000

/** The most bytes of an answer of the authorization server. */
const MAX_RESPONSE = 1024 * 1024

/** Fetches like the standard's `fetch`; what the rest of this room is handed. */
export type Fetch = (url: string, init: object) => Promise<Response>

/** A fetch with the pool behind it. */
export interface ProviderHttp { readonly fetch: Fetch, close (): Promise<void> }

/** Limits of the client; see {@link createProviderHttp}. */
export interface ProviderHttpOptions {
  /** A file with further CA certificates. Default: the system's only. */
  readonly caFile?: string | undefined
  /** Milliseconds for a whole call. Default {@link CALL_TIMEOUT}. */
  readonly timeout?: number
  /** Bytes of an answer. Default 1 MiB. */
  readonly maxResponseSize?: number
}

/**
 * Creates the HTTP client for the authorization server. Redirects are handed out as they are and never
 * followed: what they point to would get credentials that were meant for somebody else.
 *
 * @param options limits and CA
 */
export function createProviderHttp (options: ProviderHttpOptions = {}): ProviderHttp {
  const timeout = options.timeout ?? CALL_TIMEOUT
  const ca = trustedCertificates(options.caFile)
  const agent = new Agent({
    connections: 32,
    maxResponseSize: options.maxResponseSize ?? MAX_RESPONSE,
    headersTimeout: timeout,
    bodyTimeout: timeout,
    connect: {
      timeout: Math.min(timeout, 5_000),
      ...(ca === undefined ? {} : { ca })
    }
  })
  const fetch: Fetch = async (url, init: { signal?: AbortSignal }) => {
    // bodyTimeout is the pause between two bytes; an answer that drips needs a limit of the whole.
    const limit = AbortSignal.timeout(timeout)
    const signal = init.signal === undefined ? limit : AbortSignal.any([init.signal, limit])
    return await undiciFetch(url, { ...init, signal, dispatcher: agent, redirect: 'manual' }) as unknown as Response
  }
  return { fetch, close: async () => { await agent.close() } }
}
