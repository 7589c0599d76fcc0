// Gives the app its authorization server and client, and keeps trying to reach it after a start without it.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/schema.ts'
import type { Clock } from '../lib/clock.ts'
import { describeError } from '../lib/redact.ts'
import { createOidcClient, type OidcClient } from '../oidc/client-auth.ts'
import { createProviderHttp, type Fetch } from '../oidc/http.ts'
import { createProvider, type Provider } from '../oidc/provider.ts'
import type { TokenTarget } from '../oidc/token-target.ts'
import { ownTargetOf } from './api-tokens.ts'

/** What the plugin is handed. */
export interface OidcPluginOptions {
  readonly config: Config
  readonly clock: Clock
  /** Default: a pool of its own, with time and size limits. */
  readonly fetch?: Fetch | undefined
}

/** The authorization server as the routes use it. */
export interface Oidc {
  readonly provider: Provider
  readonly client: OidcClient
  readonly redirectUri: string
  readonly postLogoutRedirectUri: string
  /** What the session's own tokens are for, if that is said at the token endpoint. */
  readonly ownTarget: TokenTarget | undefined
}

declare module 'fastify' {
  interface FastifyInstance { oidc: Oidc }
}

/** Milliseconds between attempts to reach the provider after a failed start. */
const RETRY_EVERY = 2_000

export const oidcPlugin = fp(async function oidcPlugin (app: FastifyInstance, options: OidcPluginOptions) {
  const { config, clock } = options
  const http = options.fetch === undefined
    ? createProviderHttp({ caFile: config.issuer_ca })
    : { fetch: options.fetch, close: async () => {} }
  const { fetch } = http
  const provider = createProvider({ issuer: config.issuer, fetch })
  const client = createOidcClient({
    issuer: config.issuer,
    clientId: config.client_id,
    clientSecret: config.client_secret,
    clientKey: config.client_key,
    clientAuth: config.client_auth,
    clock,
    fetch
  })
  app.decorate('oidc', {
    provider,
    client,
    redirectUri: `${config.public_url}${config.base_path}/callback`,
    postLogoutRedirectUri: `${config.public_url}${config.base_path}/logged-out`,
    ownTarget: ownTargetOf(config)
  })

  let timer: NodeJS.Timeout | undefined
  let isClosed = false
  const warmUp = (): void => {
    provider.metadata().catch((error: unknown) => {
      if (isClosed) return
      app.log.warn({ cause: describeError(error) }, 'the authorization server cannot be used yet; trying again')
      timer = setTimeout(warmUp, RETRY_EVERY).unref()
    })
  }
  app.addHook('onReady', async () => { warmUp() })
  app.addHook('onClose', async () => {
    isClosed = true
    clearTimeout(timer)
    await http.close()
  })
}, { name: 'bulla-oidc', fastify: '5.x' })
