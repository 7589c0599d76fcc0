// The ID token of a refresh against the session: each claim that must not change.
import t from 'tap'
import { createOidcClient } from '../../src/oidc/client-auth.ts'
import { continuity, type ContinuityOptions } from '../../src/oidc/refresh-id-token.ts'
import { createProvider } from '../../src/oidc/provider.ts'
import type { Session } from '../../src/session/session.ts'

const ISSUER = 'https://id.example'
const CLAIMS = { iss: ISSUER, aud: 'app', sub: 'u1', auth_time: 1000, nonce: 'n1', iat: 2000, exp: 3000 }

function unsigned (claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'RS256', kid: 'k' })}.${part(claims)}.AAAA`
}

const fetch = async (): Promise<Response> => { throw new TypeError('fetch failed') }
const clock = (): number => 2_000_000
const options: ContinuityOptions = {
  provider: createProvider({ issuer: ISSUER, fetch }),
  client: createOidcClient({
    issuer: ISSUER, clientId: 'app', clientSecret: 'Zq8-dz7r4Tn0', clientKey: undefined, clientAuth: 'client_secret_basic', clock, fetch
  }),
  clock,
  algorithms: ['RS256']
}

const before: Session = {
  sid: 'AAAAAAAAAAAAAAAAAAAAAA',
  generation: 0,
  subject: 'u1',
  accessToken: 'a',
  accessTokenExpiresAt: 0,
  accessTokenIssuedAt: 0,
  idToken: unsigned(CLAIMS),
  claims: {},
  createdAt: 0,
  expiresAt: 9999,
  authTime: 1000
}

t.test('REF-04/05 S31 an ID token that speaks of another login is refused even while the keys cannot be had', async (t) => {
  for (const [name, change] of [
    ['iss', { iss: 'https://other.example' }], ['aud', { aud: 'other' }], ['sub', { sub: 'u2' }],
    ['auth_time', { auth_time: 1001 }], ['nonce', { nonce: 'n2' }]
  ] as const) {
    await t.rejects(continuity(unsigned({ ...CLAIMS, ...change }), before, options), new RegExp(name), name)
  }
  await t.rejects(continuity(7, before, options), /no text/)
  await t.rejects(continuity('x', before, options))
})

t.test('REF-04/05 what may be missing may be missing, and nothing unverified is taken over', async (t) => {
  const { nonce, auth_time: authTime, ...lean } = CLAIMS
  t.equal(await continuity(unsigned(CLAIMS), before, options), null)
  t.equal(await continuity(unsigned(lean), before, options), null)
  const { idToken, authTime: _, ...shed } = before
  t.equal(await continuity(unsigned({ ...lean, nonce, auth_time: authTime }), shed, options), null)
})
