// A token endpoint made for storms: three policies of rotation, kept to the letter, with delays before and
// after.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * What becomes of a refresh token that was used: it stays good; it answers with new tokens for some seconds;
 * or its
 * second use ends every token of its family, as RFC 9700 section 4.14.2 asks.
 */
export type Policy = 'none' | 'strict' | { readonly reuseWindow: number }

/** How the endpoint misbehaves while this is set. */
export type Outage = 'none' | 'error' | 'hang' | 'reset' | 'html' | 'refused'

/** What the endpoint hands out. */
export interface Tokens { readonly accessToken: string, readonly refreshToken: string }

interface Refresh { readonly family: string, spentAt: number | null }

/** A running token endpoint. */
export interface StormProvider {
  readonly issuer: string
  outage: Outage
  /** Calls of the token endpoint. */
  readonly calls: number
  /** Families that a reuse has ended. */
  readonly revoked: number
  /** Tokens of a new family. */
  mint (): Tokens
  /** Whether an API would take this access token. */
  isLive (accessToken: string): boolean
  close (): Promise<void>
}

/** What the endpoint needs to know. Times in milliseconds. */
export interface StormProviderOptions {
  readonly policy: Policy
  readonly tokenLife: number
  /** The longest delay before a call is worked on, and again before it is answered. */
  readonly delay: number
  readonly random: () => number
}

/** Starts the endpoint on loopback. */
export async function startStormProvider (options: StormProviderOptions): Promise<StormProvider> {
  const { policy, tokenLife, delay, random } = options
  const refreshTokens = new Map<string, Refresh>()
  const accessTokens = new Map<string, number>()
  const dead = new Set<string>()
  let calls = 0

  function issue (family: string, isRotated: boolean, presented?: string): Tokens {
    const accessToken = randomBytes(12).toString('base64url')
    accessTokens.set(accessToken, Date.now() + tokenLife)
    const refreshToken = isRotated || presented === undefined ? randomBytes(12).toString('base64url') : presented
    if (refreshToken !== presented) refreshTokens.set(refreshToken, { family, spentAt: null })
    return { accessToken, refreshToken }
  }

  /** One step without a pause, so that of two equal calls one is the first. */
  function spend (presented: string): Tokens | null {
    const known = refreshTokens.get(presented)
    if (known === undefined || dead.has(known.family)) return null
    if (policy === 'none') return issue(known.family, false, presented)
    const window = policy === 'strict' ? 0 : policy.reuseWindow
    if (known.spentAt !== null && Date.now() - known.spentAt >= window) {
      dead.add(known.family)
      return null
    }
    known.spentAt ??= Date.now()
    return issue(known.family, true, presented)
  }

  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => { body += text }).on('end', () => {
      if (request.url === '/token') token(body, response).catch(() => response.destroy())
      else send(response, 200, metadata(provider.issuer))
    })
  })

  async function token (body: string, response: ServerResponse): Promise<void> {
    calls += 1
    if (provider.outage !== 'none') return fail(provider.outage, response)
    await sleep(random() * delay)
    const tokens = spend(new URLSearchParams(body).get('refresh_token') ?? '')
    await sleep(random() * delay)
    if (tokens === null) return send(response, 400, { error: 'invalid_grant' })
    const { accessToken, refreshToken } = tokens
    send(response, 200, {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: tokenLife / 1000,
      ...(policy === 'none' ? {} : { refresh_token: refreshToken })
    })
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const provider: StormProvider = {
    issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    outage: 'none',
    get calls () { return calls },
    get revoked () { return dead.size },
    mint: () => issue(randomBytes(8).toString('base64url'), true),
    // The clock of the sessions counts whole seconds.
    isLive: (accessToken) => (accessTokens.get(accessToken) ?? 0) + 1000 > Date.now(),
    close: async () => {
      server.closeAllConnections()
      server.close()
    }
  }
  return provider
}

function fail (outage: Outage, response: ServerResponse): void {
  if (outage === 'reset') response.destroy()
  if (outage === 'html') response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
  if (outage === 'refused') send(response, 401, { error: 'invalid_client' })
  if (outage === 'error') send(response, 503, { error: 'server_error' })
}

function metadata (issuer: string): object {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256']
  }
}

function send (response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
