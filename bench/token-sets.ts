// Five realistic token sets, the same in each run: what real providers send, with made-up people.
import { createRandom, type Random } from './random.ts'

/** What a provider's token endpoint answers, and the claims of the ID token that a session keeps. */
export interface TokenSet {
  readonly name: string
  readonly accessToken: string
  readonly refreshToken: string
  readonly idToken: string
  readonly scope: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly subject: string
  readonly providerSid?: string
}

const NOW = 1_795_000_000

const part = (value: object | string): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const jwt = (random: Random, header: object | string, claims: object, signature = 256): string =>
  `${part(header)}.${part(claims)}.${random.base64url(signature)}`

/** A JWT of exactly that many characters: `fill` makes claims with a filling of the given length. */
function sized (length: number, make: (filling: string) => string): string {
  const words = 'orders:read orders:write invoices:read customers:read customers:write reports:export stock:read prices:write '
  for (let fill = 0; fill < 500; fill++) {
    const token = make(words.repeat(8).slice(0, fill).trimEnd().padEnd(fill, 's'))
    if (token.length === length) return token
  }
  throw new RangeError(`no filling makes ${length} characters`)
}

/** Access token 1,476, refresh token 887, ID token 1,127 characters, RS256 and HS512. */
export function keycloak (seed = 'keycloak'): TokenSet {
  const signature = (name: string) => createRandom(`${seed}/${name}`)
  const random = createRandom(seed)
  const [subject, sid, refreshKid] = [random.uuid(), random.uuid(), random.uuid()]
  const accessKid = random.base64url(32)
  const iss = 'https://login.example.com/realms/shop'
  const person = {
    email_verified: true, name: 'Jane Doe', preferred_username: 'jane.doe', given_name: 'Jane', family_name: 'Doe', email: 'jane.doe@example.com'
  }
  const header = `{"alg":"RS256","typ" : "JWT","kid":"${accessKid}"}`
  const [accessId, refreshId, idId, nonce, atHash, reuseId] =
    [random.uuid(), random.uuid(), random.uuid(), random.base64url(32), random.base64url(16), random.uuid()]
  const times = { exp: NOW + 300, iat: NOW, auth_time: NOW - 4 }
  const scope = 'openid profile email offline_access'
  const accessToken = sized(1476, (filling) => jwt(signature('at'), header, {
    ...times,
    jti: `onrtac:${accessId}`,
    iss,
    aud: 'account',
    sub: subject,
    typ: 'Bearer',
    azp: 'shop-web',
    sid,
    acr: '1',
    'allowed-origins': ['https://shop.example.com'],
    realm_access: { roles: ['default-roles-shop', 'offline_access', 'uma_authorization', ...filling.split(' ')] },
    resource_access: { account: { roles: ['manage-account', 'view-profile'] } },
    scope,
    ...person
  }))
  const refreshToken = sized(887, (filling) => jwt(signature('rt'), { alg: 'HS512', typ: 'JWT', kid: refreshKid }, {
    iat: NOW,
    jti: refreshId,
    iss,
    aud: iss,
    sub: subject,
    typ: 'Offline',
    azp: 'shop-web',
    sid,
    scope: `openid web-origins acr offline_access profile basic roles email ${filling}`.trim(),
    reuse_id: reuseId
  }, 64))
  const idToken = sized(1127, (filling) => jwt(signature('id'), header, {
    ...times,
    jti: idId,
    iss,
    aud: 'shop-web',
    sub: subject,
    typ: 'ID',
    azp: 'shop-web',
    nonce,
    sid,
    at_hash: atHash,
    name: person.name,
    preferred_username: person.preferred_username,
    email: person.email,
    ...(filling === '' ? {} : { roles: filling.split(' ') })
  }))
  const { name, preferred_username: username, email } = person
  return {
    name: 'Keycloak', accessToken, refreshToken, idToken, scope, subject, providerSid: sid, claims: { name, preferred_username: username, email }
  }
}

/** Access token a JWT for one API, refresh token opaque. */
export function auth0 (seed = 'auth0'): TokenSet {
  const random = createRandom(seed)
  const subject = `auth0|${random.bytes(12).toString('hex')}`
  const header = { alg: 'RS256', typ: 'JWT', kid: random.base64url(16).slice(0, 21) }
  const iss = 'https://example-shop.eu.auth0.com/'
  const clientId = random.base64url(24)
  const scope = 'openid profile email offline_access'
  const claims = { name: 'Jane Doe', email: 'jane.doe@example.com', picture: 'https://s.gravatar.com/avatar/2b3c1f0c9d2b8e?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2Fjd.png' }
  return {
    name: 'Auth0',
    accessToken: jwt(random, header, {
      iss, sub: subject, aud: ['https://api.example.com', `${iss}userinfo`], iat: NOW, exp: NOW + 86_400, scope, azp: clientId, permissions: ['orders:read', 'orders:write']
    }),
    refreshToken: `v1.${random.base64url(48)}`,
    idToken: jwt(random, header, {
      nickname: 'jane.doe',
      ...claims,
      updated_at: '2026-11-18T09:46:40.000Z',
      email_verified: true,
      iss,
      aud: clientId,
      sub: subject,
      iat: NOW,
      exp: NOW + 36_000,
      sid: random.base64url(24),
      nonce: random.base64url(32)
    }),
    scope,
    subject,
    claims
  }
}

/** Access and ID token with 40 groups, refresh token opaque and long. */
export function entra (seed = 'entra'): TokenSet {
  const random = createRandom(seed)
  const [tenant, oid, clientId, sid] = [random.uuid(), random.uuid(), random.uuid(), random.uuid()]
  const groups = Array.from({ length: 40 }, () => random.uuid())
  const header = { typ: 'JWT', alg: 'RS256', kid: random.base64url(20) }
  const subject = random.base64url(32)
  const iss = `https://login.microsoftonline.com/${tenant}/v2.0`
  const claims = { name: 'Jane Doe', preferred_username: 'jane.doe@example.com', email: 'jane.doe@example.com', groups }
  return {
    name: 'Entra ID, 40 groups',
    accessToken: jwt(random, header, {
      aud: clientId,
      iss,
      iat: NOW,
      nbf: NOW,
      exp: NOW + 4500,
      aio: random.base64url(60),
      azp: clientId,
      azpacr: '1',
      groups,
      name: claims.name,
      oid,
      preferred_username: claims.preferred_username,
      rh: `1.${random.base64url(42)}.`,
      scp: 'orders.read orders.write',
      sid,
      sub: subject,
      tid: tenant,
      uti: random.base64url(16),
      ver: '2.0',
      xms_ftd: random.base64url(32)
    }),
    refreshToken: `1.${random.base64url(40)}.${random.base64url(760)}`,
    idToken: jwt(random, header, {
      aud: clientId,
      iss,
      iat: NOW,
      nbf: NOW,
      exp: NOW + 3600,
      aio: random.base64url(60),
      email: claims.email,
      groups,
      name: claims.name,
      nonce: random.base64url(32),
      oid,
      preferred_username: claims.preferred_username,
      rh: `1.${random.base64url(42)}.`,
      sid,
      sub: subject,
      tid: tenant,
      uti: random.base64url(16),
      ver: '2.0'
    }),
    scope: `openid profile email offline_access api://${clientId}/orders.read`,
    subject,
    providerSid: sid,
    claims
  }
}

/** Access and ID token JWTs, refresh token a JWE of five parts. */
export function cognito (seed = 'cognito'): TokenSet {
  const random = createRandom(seed)
  const [subject, origin, event] = [random.uuid(), random.uuid(), random.uuid()]
  const clientId = random.bytes(13).toString('hex')
  const iss = 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12Cd34E'
  const shared = { sub: subject, 'cognito:groups': ['customers', 'beta'], iss, origin_jti: origin, event_id: event, auth_time: NOW, exp: NOW + 3600, iat: NOW }
  return {
    name: 'Cognito',
    accessToken: jwt(random, { kid: random.bytes(32).toString('base64'), alg: 'RS256' }, {
      ...shared, version: 2, client_id: clientId, token_use: 'access', scope: 'openid profile email', jti: random.uuid(), username: subject
    }),
    refreshToken: [part({ cty: 'JWT', enc: 'A256GCM', alg: 'RSA-OAEP' }), random.base64url(256), random.base64url(12), random.base64url(780), random.base64url(16)].join('.'),
    idToken: jwt(random, { kid: random.bytes(32).toString('base64'), alg: 'RS256' }, {
      ...shared,
      at_hash: random.base64url(16),
      email_verified: true,
      'cognito:username': subject,
      nonce: random.base64url(32),
      aud: clientId,
      token_use: 'id',
      jti: random.uuid(),
      email: 'jane.doe@example.com',
      name: 'Jane Doe'
    }),
    scope: 'openid profile email',
    subject,
    claims: { name: 'Jane Doe', email: 'jane.doe@example.com' }
  }
}

/** Opaque access and refresh token, a small ES256 ID token. */
export function minimal (seed = 'minimal'): TokenSet {
  const random = createRandom(seed)
  const subject = random.uuid()
  return {
    name: 'minimal opaque',
    accessToken: random.base64url(32),
    refreshToken: random.base64url(32),
    idToken: jwt(random, { alg: 'ES256', kid: random.base64url(8) }, { iss: 'https://id.example', sub: subject, aud: 'shop', exp: NOW + 600, iat: NOW, nonce: random.base64url(32) }, 64),
    scope: 'openid offline_access',
    subject,
    claims: {}
  }
}

/** All of them. */
export function tokenSets (): TokenSet[] {
  return [keycloak(), auth0(), entra(), cognito(), minimal()]
}
