// Everything that the misbehaving provider can do wrong, by name: one change to one document each.
import type { JWK } from 'jose'
import type { Header } from './misbehaving-keys.ts'

type Json = Record<string, unknown>

/** What a mutation changes; each function gets what would be right and returns what is sent. */
export interface Mutation {
  readonly metadata?: (metadata: Json) => Json
  readonly jwks?: (keys: JWK[], decoys: Record<string, JWK>) => JWK[]
  /** The parameters of the authorization response; an array sends a parameter several times. */
  readonly answer?: (params: Record<string, string>, right: Record<string, string>) => Array<[string, string]>
  /** The claims of the signed authorization response. */
  readonly jarm?: (claims: Json) => Json
  /** The provider refuses with this error. */
  readonly error?: string
  readonly claims?: (claims: Json) => Json
  readonly header?: (header: Header) => Header
  /** Signs with the key of this name and algorithm in place of the right one. */
  readonly key?: { readonly kid: string, readonly alg: string }
  /** What becomes of every signed token: broken signature, or encrypted. */
  readonly spoil?: 'signature' | 'encrypted'
  readonly token?: (body: Json) => Json
  /** The token endpoint answers this in place of tokens. */
  readonly tokenAnswer?: {
    readonly status: number
    readonly body: string
    readonly headers?: Record<string, string>
  }
  /** Takes a call to this endpoint and never answers. */
  readonly hang?: string
  readonly userinfo?: (claims: Json) => Json
  /** Answers userinfo as a signed token. */
  readonly signedUserinfo?: boolean
}

const without = (name: string) => (all: Json): Json => {
  const { [name]: _gone, ...rest } = all
  return rest
}
const having = (more: Json) => (all: Json): Json => ({ ...all, ...more })
const now = () => Math.floor(Date.now() / 1000)
type Params = Record<string, string>
const pairs = (params: Params) => Object.entries(params)
const answering = (more: Params) => (params: Params) => pairs({ ...params, ...more })
const dropping = (name: string) => (params: Params) => pairs(params).filter(([key]) => key !== name)
const doubling = (name: string) => (params: Params): Array<[string, string]> =>
  [...pairs(params), [name, params[name] ?? 'x']]
const JSON_TYPE = { 'content-type': 'application/json' }
const json = (body: Json) => ({ body: JSON.stringify(body), headers: JSON_TYPE })
const refusing = (status: number, error: string): Mutation =>
  ({ tokenAnswer: { status, ...json({ error }) } })

/** ID token and its signature: each of these must be refused. */
export const BAD_ID_TOKENS = {
  'invalid-iss': { claims: having({ iss: 'https://other.example' }) },
  'iss-trailing-slash': { claims: (claims) => ({ ...claims, iss: `${String(claims.iss)}/` }) },
  'missing-iss': { claims: without('iss') },
  'missing-sub': { claims: without('sub') },
  'empty-sub': { claims: having({ sub: '' }) },
  'number-sub': { claims: having({ sub: 42 }) },
  'long-sub': { claims: having({ sub: 'x'.repeat(256) }) },
  'invalid-aud': { claims: having({ aud: 'another-client' }) },
  'missing-aud': { claims: without('aud') },
  'invalid-secondary-aud': { claims: (claims) => ({ ...claims, aud: [claims.aud, 'stranger'] }) },
  'invalid-secondary-aud-with-azp': { claims: (claims) => ({ ...claims, aud: [claims.aud, 'stranger'], azp: claims.aud }) },
  'invalid-azp': { claims: having({ azp: 'another-client' }) },
  'missing-iat': { claims: without('iat') },
  'iat-next-year': { claims: () => ({}) },
  'iat-is-week-in-past': { claims: (claims) => ({ ...claims, iat: now() - 604_800 }) },
  'invalid-expired-exp': { claims: (claims) => ({ ...claims, exp: now() - 301 }) },
  'invalid-missing-exp': { claims: without('exp') },
  'string-exp': { claims: (claims) => ({ ...claims, exp: String(claims.exp) }) },
  'invalid-nonce': { claims: having({ nonce: 'another-nonce' }) },
  'invalid-missing-nonce': { claims: without('nonce') },
  'invalid-athash': { claims: having({ at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }) },
  'invalid-sig-rs256': { spoil: 'signature' },
  'foreign-key': { key: { kid: 'stranger', alg: 'RS256' }, header: having({ kid: 'main' }) },
  'idtoken-sig-none': { header: having({ alg: 'none' }) },
  'idtoken-sig-none-mixed-case': { header: having({ alg: 'NoNe' }) },
  'invalid-sig-hs256': { header: having({ alg: 'HS256' }) },
  'invalid-alternate-alg': { key: { kid: 'alternate', alg: 'PS256' } },
  'typ-logout-token': { header: having({ typ: 'logout+jwt' }) },
  'typ-access-token': { header: having({ typ: 'at+jwt' }) },
  'events-claim': { claims: having({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }) },
  'unknown-crit': { header: having({ crit: ['made-up'], 'made-up': true }) },
  'encrypted-id-token': { spoil: 'encrypted' },
  'no-id-token': { token: without('id_token') }
} as const satisfies Record<string, Mutation>

/** Authorization responses: each of these must be refused, and no code spent. */
export const BAD_ANSWERS = {
  'invalid-authorization-response-iss': { answer: answering({ iss: 'https://other.example' }) },
  'authorization-response-iss-slash': { answer: (params) => pairs({ ...params, iss: `${params.iss}/` }) },
  'remove-authorization-response-iss': { answer: dropping('iss') },
  'empty-authorization-response-iss': { answer: answering({ iss: '' }) },
  'authorization-response-with-invalid-state': { answer: (params) => pairs({ ...params, state: `${params.state}x` }) },
  'authorization-response-with-missing-state': { answer: dropping('state') },
  'response-with-access-token': { answer: answering({ access_token: 'at' }) },
  'response-with-id-token': { answer: answering({ id_token: 'it' }) },
  'doubled-code': { answer: doubling('code') },
  'doubled-state': { answer: doubling('state') },
  'doubled-iss': { answer: doubling('iss') },
  'doubled-error': { answer: (params) => [...pairs(params), ['error', 'a'], ['error', 'b']] },
  'code-array': { answer: (params) => [...pairs(params), ['code[]', 'a']] },
  'code-then-empty-code': { answer: (params) => [...pairs(params), ['code', '']] },
  'empty-code': { answer: answering({ code: '' }) },
  'no-code': { answer: dropping('code') },
  'jarm-when-query-expected': { answer: (params) => [['response', 'a.b.c'], ['state', params.state ?? '']] }
} as const satisfies Record<string, Mutation>

/** Signed authorization responses (JARM): each of these must be refused. */
export const BAD_JARM = {
  'jarm-without-iss': { jarm: without('iss') },
  'jarm-with-invalid-iss': { jarm: having({ iss: 'https://other.example' }) },
  'jarm-without-aud': { jarm: without('aud') },
  'jarm-with-invalid-aud': { jarm: having({ aud: 'another-client' }) },
  'jarm-without-exp': { jarm: without('exp') },
  'jarm-with-expired-exp': { jarm: (claims) => ({ ...claims, exp: now() - 301 }) },
  'jarm-with-invalid-sig': { spoil: 'signature' },
  'jarm-signature-is-none': { header: having({ alg: 'none' }) },
  'jarm-with-invalid-state': { jarm: (claims) => ({ ...claims, state: `${String(claims.state)}x` }) },
  'jarm-plain-response': { answer: (_params, right) => pairs(right) },
  'jarm-with-other-outer-iss': { answer: (params) => [...pairs(params), ['iss', 'https://other.example']] }
} as const satisfies Record<string, Mutation>

/** Metadata that must stop a login before it starts. */
export const BAD_METADATA = {
  'discovery-issuer-mismatch': { metadata: having({ issuer: 'https://other.example' }) },
  'discovery-issuer-slash': { metadata: (metadata) => ({ ...metadata, issuer: `${String(metadata.issuer)}/` }) },
  'discovery-issuer-case': { metadata: (metadata) => ({ ...metadata, issuer: String(metadata.issuer).replace('http', 'HTTP') }) },
  'discovery-http-token-endpoint': { metadata: having({ token_endpoint: 'http://plain.example/token' }) },
  'discovery-no-token-endpoint': { metadata: without('token_endpoint') },
  'discovery-no-jwks-uri': { metadata: without('jwks_uri') },
  'discovery-other-client-auth': { metadata: having({ token_endpoint_auth_methods_supported: ['tls_client_auth'] }) }
} as const satisfies Record<string, Mutation>

/** Token endpoint faults at login, and what they amount to. */
export const TOKEN_FAULTS = {
  'token-500': { tokenAnswer: { status: 500, ...json({ error: 'server_error' }) } },
  'token-503-html': { tokenAnswer: { status: 503, body: '<h1>down</h1>' } },
  'token-429': refusing(429, 'slow_down'),
  'token-200-html': { tokenAnswer: { status: 200, body: '<h1>hello</h1>', headers: { 'content-type': 'text/html' } } },
  'token-200-truncated': { tokenAnswer: { status: 200, body: '{"access_token":', headers: { 'content-type': 'application/json' } } },
  'token-302': { tokenAnswer: { status: 302, body: '', headers: { location: '/stolen' } } },
  'token-307': { tokenAnswer: { status: 307, body: '', headers: { location: '/stolen' } } },
  'token-invalid-grant': refusing(400, 'invalid_grant'),
  'token-invalid-client': refusing(401, 'invalid_client'),
  'token-invalid-client-challenge': {
    tokenAnswer: { status: 401, body: '{"error":"invalid_client"}', headers: { 'www-authenticate': 'Basic realm="as"' } }
  },
  'token-unauthorized-client': refusing(400, 'unauthorized_client'),
  'token-unsupported-grant-type': refusing(400, 'unsupported_grant_type'),
  'token-invalid-request': refusing(400, 'invalid_request'),
  'token-invalid-scope': refusing(400, 'invalid_scope'),
  'token-type-mac': { token: having({ token_type: 'mac' }) },
  'token-negative-expires-in': { token: having({ expires_in: -1 }) },
  'token-no-access-token': { token: without('access_token') }
} as const satisfies Record<string, Mutation>

/** Odd, but right: each of these must be accepted. */
export const ODD_BUT_RIGHT = {
  'idtoken-sig-rs256': {},
  'kid-absent-single-jwks': { header: without('kid'), jwks: (keys) => keys.slice(0, 1) },
  'kid-absent-multiple-jwks': { header: without('kid'), jwks: (keys, { decoy }) => [decoy as JWK, ...keys] },
  'decoy-key-same-kid': { jwks: (keys, { decoy, ec }) => [{ ...decoy, kid: 'main' }, { ...ec, kid: 'main' }, ...keys] },
  'decoy-key-same-kid-for-encryption': { jwks: (keys, { decoy }) => [{ ...decoy, kid: 'main', use: 'enc' } as JWK, ...keys] },
  'unreadable-key-in-jwks': { jwks: (keys) => [{ kty: 'RSA', kid: 'main', n: '!', e: 'AQAB' }, { kty: 'made-up' }, ...keys] },
  'valid-aud-as-array': { claims: (claims) => ({ ...claims, aud: [claims.aud] }) },
  'jku-header': { header: having({ jku: 'https://evil.example/jwks', x5u: 'https://evil.example/x5u', jwk: { kty: 'RSA' } }) },
  'token-type-case-insensitivity': { token: having({ token_type: 'bEARER' }) },
  'token-endpoint-response-without-expires_in': { token: without('expires_in') },
  'token-endpoint-response-with-string-expires_in': { token: having({ expires_in: '300' }) },
  'token-endpoint-response-with-zero-expires_in': { token: having({ expires_in: 0 }) },
  'no-scope-in-token-endpoint-response': { token: without('scope') },
  'less-scope-than-asked': { token: having({ scope: 'openid' }) },
  'unknown-token-response-members': { token: having({ foo: { bar: 1 }, not_before_policy: 0 }) },
  'unknown-response-parameters': { answer: (params) => [...pairs(params), ['session_state', 's'], ['foo', '1']] },
  'no-refresh-token': { token: without('refresh_token') },
  'metadata-without-pkce': { metadata: without('code_challenge_methods_supported') },
  'metadata-plain-pkce-only': { metadata: having({ code_challenge_methods_supported: ['plain'] }) }
} as const satisfies Record<string, Mutation>

/** Userinfo. */
export const USERINFO = {
  'userinfo-invalid-sub': { userinfo: having({ sub: 'somebody-else' }) },
  'userinfo-missing-sub': { userinfo: without('sub') },
  'userinfo-signed': { signedUserinfo: true },
  'userinfo-signed-wrong-aud': { signedUserinfo: true, userinfo: having({ aud: 'another-client' }) },
  'userinfo-signed-wrong-iss': { signedUserinfo: true, userinfo: having({ iss: 'https://other.example' }) }
} as const satisfies Record<string, Mutation>

const table: Record<string, Mutation> = {
  ...BAD_ID_TOKENS,
  ...BAD_ANSWERS,
  ...BAD_JARM,
  ...BAD_METADATA,
  ...TOKEN_FAULTS,
  ...ODD_BUT_RIGHT,
  ...USERINFO,
  'iat-next-year': { claims: (claims) => ({ ...claims, iat: now() + 31_536_000, exp: now() + 31_540_000 }) },
  'acr-missing': { claims: without('acr') },
  'acr-other': { claims: having({ acr: 'bronze' }) },
  'auth-time-missing': { claims: without('auth_time') },
  'auth-time-too-old': { claims: (claims) => ({ ...claims, auth_time: now() - 7200 }) },
  es256: { key: { kid: 'ec', alg: 'ES256' } },
  'invalid-sig-es256': { key: { kid: 'ec', alg: 'ES256' }, spoil: 'signature' },
  'userinfo-hangs': { hang: 'userinfo' },
  'token-hangs': { hang: 'token' },
  'no-revocation-endpoint': { metadata: without('revocation_endpoint') },
  'giant-claims': { claims: having({ groups: Array.from({ length: 400 }, (_, index) => `group-${index}-${index * 7919 % 997}`) }) },
  'giant-refresh-token': {
    token: (body) => ({ ...body, refresh_token: Array.from({ length: 1200 }, () => Math.random().toString(36)).join('') })
  }
}

/** The mutation of a name. */
export function mutationNamed (name: string): Mutation {
  if (name.startsWith('error:')) return { error: name.slice('error:'.length) }
  const found = table[name]
  if (found === undefined) throw new TypeError(`no mutation is called ${name}`)
  return found
}
