// Turns the options of the demo's authorization server into the configuration of oidc-provider.
import { createHash, randomBytes } from 'node:crypto'
import {
  interactionPolicy, type Configuration, type FindAccount, type KoaContextWithOIDC
} from 'oidc-provider'
import type { SigningKey } from './keys.ts'
import { ENDPOINTS, type ResolvedOptions } from './options.ts'
import { errorPage, logoutPage, signedOutPage, type Page } from './pages.ts'
import type { ProviderStore } from './store.ts'
import { TOKEN_EXCHANGE } from './token-exchange.ts'
import { findUser, type DemoUser } from './users.ts'

/** Scopes that the demo API knows, next to those of OpenID Connect. */
export const API_SCOPES = 'orders:read orders:write'
const OIDC_SCOPES = 'openid profile email offline_access'
const ALL_SCOPES = `${OIDC_SCOPES} ${API_SCOPES}`
/** Authentication contexts for step-up; a login reaches the one that is asked for. */
const ACR_VALUES = ['urn:bulla-demo:silver', 'urn:bulla-demo:gold']

/** The configuration of one provider that stands at `issuer`. */
export function providerConfiguration (
  options: ResolvedOptions, issuer: string, key: SigningKey, store: ProviderStore
): Configuration {
  const configuration: Configuration = {
    adapter: store.adapter,
    clients: [client(options)],
    jwks: { keys: [key.jwk] },
    findAccount: accounts(options),
    claims: claimsByScope,
    scopes: OIDC_SCOPES.split(' '),
    acrValues: ACR_VALUES,
    conformIdTokenClaims: true,
    clockTolerance: 0,
    cookies: cookies(issuer),
    routes: {
      authorization: ENDPOINTS.authorization,
      end_session: ENDPOINTS.end_session,
      introspection: ENDPOINTS.introspection,
      jwks: ENDPOINTS.jwks,
      pushed_authorization_request: ENDPOINTS.par,
      revocation: ENDPOINTS.revocation,
      token: ENDPOINTS.token,
      userinfo: ENDPOINTS.userinfo
    },
    interactions: { url: (_ctx, { uid }) => `${ENDPOINTS.interaction}/${uid}`, policy: policy() },
    pkce: { required: () => true },
    ttl: { AccessToken: options.accessTokenTtl, RefreshToken: options.refreshTokenTtl, ...longTtl },
    rotateRefreshToken: options.rotation !== 'none',
    issueRefreshToken: (_ctx, issued) => issued.grantTypeAllowed('refresh_token'),
    loadExistingGrant: (ctx) => newGrant(ctx, options),
    features: features(options),
    formats: { customizers: { jwt: (_ctx, token, parts) => keycloakLike(options, token, parts.payload) } },
    fetch: plainFetch,
    renderError: (ctx, out) => send(ctx, errorPage(out))
  }
  options.configure(configuration)
  return configuration
}

const longTtl = {
  AuthorizationCode: 60,
  ClientCredentials: 600,
  Grant: 14 * 86_400,
  IdToken: 3600,
  Interaction: 3600,
  Session: 86_400
}

const claimsByScope = {
  openid: ['sub', 'sid'],
  profile: [
    'name', 'given_name', 'family_name', 'preferred_username', 'picture', 'locale', 'roles', 'groups'
  ],
  email: ['email', 'email_verified']
}

/** Without oidc-provider's dispatcher, which keeps away from loopback addresses, where the demo lives. */
const plainFetch: NonNullable<Configuration['fetch']> = async (url, init) => {
  const { dispatcher: _none, ...rest } = { dispatcher: undefined, ...init }
  return await fetch(url, rest)
}

function client (options: ResolvedOptions) {
  return {
    client_id: options.clientId,
    client_secret: options.clientSecret,
    client_name: 'The Bulla demo',
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials', TOKEN_EXCHANGE],
    redirect_uris: options.redirectUris,
    post_logout_redirect_uris: options.postLogoutRedirectUris,
    token_endpoint_auth_method: 'client_secret_basic' as const,
    require_pushed_authorization_requests: options.requirePar,
    ...(options.backchannelLogoutUri === undefined
      ? {}
      : { backchannel_logout_uri: options.backchannelLogoutUri, backchannel_logout_session_required: true }),
    ...options.clientMetadata
  }
}

/** Cookie names hold the port: browsers do not keep cookies of two ports of a host apart. */
function cookies (issuer: string) {
  const name = `demo-as-${new URL(issuer).port}`
  return {
    names: { session: `${name}-session`, interaction: `${name}-interaction`, resume: `${name}-resume` },
    keys: [randomBytes(32)],
    long: { signed: true, httpOnly: true, sameSite: 'lax' as const },
    short: { signed: true, httpOnly: true, sameSite: 'lax' as const }
  }
}

function accounts (options: ResolvedOptions): FindAccount {
  return (_ctx, sub, token) => {
    const user = findUser(options.users, sub)
    if (user === undefined) return undefined
    const uid = token !== undefined && 'sessionUid' in token ? token.sessionUid : undefined
    const claims = { ...userClaims(user), ...(uid === undefined ? {} : { sid: sidOf(uid) }) }
    return { accountId: sub, claims: () => claims }
  }
}

/** Not the session's own id: whoever reads an ID token must not learn what the session's cookie is about. */
function sidOf (sessionUid: string): string {
  return createHash('sha256').update(sessionUid).digest('base64url').slice(0, 22)
}

function userClaims (user: DemoUser) {
  const { username, about, ...claims } = user
  return { ...claims, preferred_username: username, email_verified: true, locale: 'en' }
}

/** Step-up: a login is asked for when the session's authentication context is not among those wanted. */
function policy () {
  const prompts = interactionPolicy.base()
  const check = new interactionPolicy.Check('acr', 'another authentication is wanted', (ctx) => {
    const wanted = ctx.oidc.params?.acr_values
    return typeof wanted === 'string' && ctx.oidc.session?.accountId !== undefined &&
      !wanted.split(' ').includes(ctx.oidc.session.acr ?? '')
  })
  prompts.get('login')?.checks.add(check)
  return prompts
}

/** A grant of its own for each login: consent is given, and reuse in one session ends no other. */
async function newGrant (ctx: KoaContextWithOIDC, options: ResolvedOptions) {
  const { client, session, provider } = ctx.oidc
  if (client === undefined || session?.accountId === undefined) return undefined
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
  grant.addOIDCScope(OIDC_SCOPES)
  for (const resource of allResources(options)) grant.addResourceScope(resource, ALL_SCOPES)
  await grant.save()
  return grant
}

function allResources (options: ResolvedOptions): string[] {
  return [...(options.audience === null ? [] : [options.audience]), ...options.resources]
}

const ownToken = (_ctx: unknown, caller: { clientId: string }, token: { clientId?: string | undefined }) =>
  caller.clientId === token.clientId

function features (options: ResolvedOptions): Configuration['features'] {
  return {
    devInteractions: { enabled: false },
    revocation: { enabled: true, allowedPolicy: ownToken },
    introspection: { enabled: true, allowedPolicy: ownToken },
    clientCredentials: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    jwtResponseModes: { enabled: true },
    backchannelLogout: { enabled: options.backchannelLogoutUri !== undefined },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => send(ctx, logoutPage(form, options)),
      postLogoutSuccessSource: (ctx) => send(ctx, signedOutPage())
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_ctx, _client, oneOf) => {
        const { audience } = options
        if (oneOf === undefined) return audience ?? []
        return audience !== null && oneOf.includes(audience) ? audience : oneOf[0] ?? []
      },
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: allResources(options).includes(resource) ? ALL_SCOPES : '',
        audience: resource,
        accessTokenTTL: options.accessTokenTtl,
        accessTokenFormat: 'jwt' as const,
        jwt: { sign: { alg: 'RS256' as const } }
      })
    }
  }
}

/** Gives JWT access tokens the claims, and so the size, that Keycloak's have. */
function keycloakLike (
  options: ResolvedOptions, token: object, payload: Record<string, unknown>
) {
  const user = 'accountId' in token ? findUser(options.users, token.accountId) : undefined
  if (user === undefined) return
  const { sub, picture, locale, roles, groups, ...claims } = userClaims(user)
  Object.assign(payload, {
    typ: 'Bearer',
    azp: options.clientId,
    acr: '1',
    'allowed-origins': [...new Set(options.redirectUris.map((uri) => new URL(uri).origin))],
    realm_access: { roles: ['offline_access', 'uma_authorization', 'default-roles-ur', ...roles] },
    resource_access: {
      account: { roles: ['manage-account', 'view-profile'] }, orders: { roles }
    },
    ...claims,
    roles,
    groups,
    ...options.accessTokenClaims(user)
  })
}

function send (ctx: KoaContextWithOIDC, page: Page) {
  ctx.type = 'html'
  ctx.set('content-security-policy', page.policy)
  ctx.body = page.html
}
