// A small but real OpenID Connect provider on loopback, for the demo and the tests. Imports nothing of src/.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JWTPayload } from 'jose'
import Provider from 'oidc-provider'
import { providerConfiguration } from './provider/configuration.ts'
import { interactions, type LoginBehaviour } from './provider/interaction.ts'
import { signClaims, signingKey } from './provider/keys.ts'
import { resolveOptions, type AuthorizationServerOptions, type ResolvedOptions } from './provider/options.ts'
import { ProviderStore } from './provider/store.ts'
import { acceptExchanges } from './provider/token-exchange.ts'

export { ENDPOINTS, endpointOf, type AuthorizationServerOptions, type Endpoint } from './provider/options.ts'
export { demoUsers, type DemoUser } from './provider/users.ts'

/** A running authorization server. */
export interface AuthorizationServer {
  readonly issuer: string
  readonly port: number
  readonly clientId: string
  readonly clientSecret: string
  /** What happens at the next login; may be changed while the server runs. */
  readonly behaviour: LoginBehaviour
  /** The provider itself, for its events and models. */
  readonly provider: Provider
  /** Ends every grant of a person, so that no refresh token of theirs works any longer. */
  revokeSubject(sub: string): void
  /** Signs claims as this server would; `header` overrides header parameters, e.g. `typ`. */
  sign(claims: JWTPayload, header?: Record<string, string>): Promise<string>
  /** Stops listening and cuts every connection; what is remembered stays. */
  stop(): Promise<void>
  /** Listens again, on the same port. */
  start(): Promise<void>
  /** Stops for good. */
  close(): Promise<void>
}

/**
 * Starts an authorization server on 127.0.0.1: code flow with PKCE (required), PAR, `iss` in the response,
 * JWT access tokens for the resources asked for, token exchange, refresh tokens without `prompt=consent`,
 * revocation, logout asked for by the app and, if wanted, told on the back channel. Keys are generated at
 * the first start of a process.
 */
export async function startAuthorizationServer (
  given: AuthorizationServerOptions = {}
): Promise<AuthorizationServer> {
  const options = resolveOptions(given)
  const state: { handler?: Handler } = {}
  let server = await listen(options.port, options, state)
  const port = (server.address() as AddressInfo).port
  const issuer = `http://${options.host}:${port}`
  const store = new ProviderStore({
    reuseWindow: typeof options.rotation === 'object' ? options.rotation.reuseWindow : 0
  })
  const provider = new Provider(issuer, providerConfiguration(options, issuer, await signingKey(), store))
  acceptExchanges(provider, options)
  const autoLogin = options.interactive ? null : options.autoLogin
  const behaviour: LoginBehaviour = { autoLogin, refuseWith: null }
  provider.use(interactions(provider, options, behaviour))
  state.handler = provider.callback()

  return {
    issuer,
    port,
    clientId: options.clientId,
    clientSecret: options.clientSecret,
    behaviour,
    provider,
    revokeSubject: (sub) => store.revokeSubject(sub),
    sign: signClaims,
    stop: () => stop(server),
    start: async () => {
      if (!server.listening) server = await listen(port, options, state)
    },
    close: () => stop(server)
  }
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

async function listen (
  port: number, options: ResolvedOptions, state: { handler?: Handler }
): Promise<Server> {
  const server = createServer((request, response) => {
    options.intercept(request, response, () => {
      if (state.handler !== undefined) return state.handler(request, response)
      response.writeHead(503, { 'retry-after': '1' }).end()
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function stop (server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
