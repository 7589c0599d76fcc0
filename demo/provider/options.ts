// What the demo's authorization server can be told, and what it does when told nothing.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Configuration } from 'oidc-provider'
import { demoUsers, type DemoUser } from './users.ts'

/** How refresh tokens are renewed: never, each time with reuse detection, or with a grace period in s. */
export type Rotation = 'none' | 'strict' | { readonly reuseWindow: number }

/** Options of the authorization server, each with a default. Times are seconds. */
export interface AuthorizationServerOptions {
  /** Port on loopback; 0 (default) takes any free one. */
  port?: number
  /** Host name of the issuer: `127.0.0.1` (default) or `localhost`. */
  host?: string
  clientId?: string
  clientSecret?: string
  /** Default: `http://localhost:3000/bff/callback`. */
  redirectUris?: string[]
  /** Default: `http://localhost:3000/bff/logged-out`. */
  postLogoutRedirectUris?: string[]
  /** Turns back-channel logout on. */
  backchannelLogoutUri?: string
  /** More client metadata, such as `token_endpoint_auth_method` and `jwks`. */
  clientMetadata?: Record<string, unknown>
  /** Default: the two people of `users.ts`. */
  users?: readonly DemoUser[]
  /** Default 120. */
  accessTokenTtl?: number
  /** Default 12 hours. */
  refreshTokenTtl?: number
  /** Default `strict`: a refresh token that is used twice ends its whole family. */
  rotation?: Rotation
  /**
   * Audience of the JWT access tokens (default `urn:bulla-demo:orders`); `null`: opaque access tokens, with
   * which the userinfo endpoint can be asked, and an ID token that holds `sub` only.
   */
  audience?: string | null
  /** Further resource indicators (RFC 8707) that may be asked for. */
  resources?: readonly string[]
  /** Further claims of access tokens, e.g. to make them larger. */
  accessTokenClaims?: (user: DemoUser) => Record<string, unknown>
  /** `true` (default): people click; else `autoLogin`, or whom `login_hint` names, is logged in at once. */
  interactive?: boolean
  /** Who logs in when not interactive. Default: the first user. */
  autoLogin?: string
  /** Ends a session without asking. Default: `true` unless interactive. */
  confirmLogout?: 'ask' | 'auto'
  /** Refuses authorization requests that were not pushed (pushing is always possible). Default `false`. */
  requirePar?: boolean
  /** Last word on the configuration of oidc-provider. */
  configure?: (configuration: Configuration) => void
  /** Sees every request first; answers it, or calls `next`. */
  intercept?: (request: IncomingMessage, response: ServerResponse, next: () => void) => void
}

/** Options with every default filled in. */
export type ResolvedOptions = Required<Omit<AuthorizationServerOptions, 'backchannelLogoutUri'>> &
  Pick<AuthorizationServerOptions, 'backchannelLogoutUri'>

/** The path of every endpoint, by the name that tests count and break it by. */
export const ENDPOINTS = {
  discovery: '/.well-known/openid-configuration',
  jwks: '/jwks',
  authorization: '/authorize',
  par: '/par',
  token: '/token',
  userinfo: '/userinfo',
  revocation: '/token/revocation',
  introspection: '/token/introspection',
  end_session: '/logout',
  interaction: '/interaction'
} as const

export type Endpoint = keyof typeof ENDPOINTS

/** Which endpoint a request path belongs to. */
export function endpointOf (path: string): Endpoint | undefined {
  const bare = path.split('?', 1)[0] as string
  const names = Object.keys(ENDPOINTS) as Endpoint[]
  return names.find((name) => bare === ENDPOINTS[name]) ??
    names.find((name) => bare.startsWith(`${ENDPOINTS[name]}/`))
}

/** Fills in the defaults. */
export function resolveOptions (options: AuthorizationServerOptions): ResolvedOptions {
  const users = options.users ?? demoUsers
  const interactive = options.interactive ?? true
  return {
    port: 0,
    host: '127.0.0.1',
    clientId: 'bulla-demo',
    clientSecret: randomBytes(32).toString('base64url'),
    redirectUris: ['http://localhost:3000/bff/callback'],
    postLogoutRedirectUris: ['http://localhost:3000/bff/logged-out'],
    clientMetadata: {},
    accessTokenTtl: 120,
    refreshTokenTtl: 12 * 3600,
    rotation: 'strict',
    audience: 'urn:bulla-demo:orders',
    resources: [],
    accessTokenClaims: () => ({}),
    autoLogin: users[0]?.username ?? '',
    confirmLogout: interactive ? 'ask' : 'auto',
    requirePar: false,
    configure: () => {},
    intercept: (_request, _response, next) => next(),
    ...options,
    users,
    interactive
  }
}
