// What a strict authorization server checks of its client at every back-channel call.
import { createPublicKey } from 'node:crypto'
import { decodeProtectedHeader, jwtVerify } from 'jose'

/** How the client is registered. */
export interface ClientRules {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly method: 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt'
  /** The client's public key, PEM, for private_key_jwt. */
  readonly publicKey?: string
}

interface Call {
  readonly endpoint: string
  readonly method: string
  readonly headers: Record<string, unknown>
  readonly params: URLSearchParams
}

const seenAssertions = new Set<string>()

/**
 * Checks a call's client authentication.
 *
 * @returns what is wrong with it, one sentence each
 */
export async function verifyClient (call: Call, rules: ClientRules): Promise<string[]> {
  const { params, headers, endpoint } = call
  const problems: string[] = []
  const expect = (holds: boolean, rule: string): void => { if (!holds) problems.push(`${endpoint}: not so: ${rule}`) }
  const basic = String(headers.authorization ?? '')
  expect(call.method === 'POST', 'it is a POST')
  if (rules.method === 'client_secret_basic') {
    const [id = '', secret = ''] = Buffer.from(basic.replace(/^Basic /, ''), 'base64').toString().split(':').map(formDecoded)
    expect(id === rules.clientId && secret === rules.clientSecret, 'the Basic credentials, form-decoded, are right')
    expect(!params.has('client_secret') && !params.has('client_assertion'), 'credentials come one way only')
    return problems
  }
  expect(basic === '', 'there is no Authorization header')
  expect(params.get('client_id') === rules.clientId, 'client_id is in the body')
  if (rules.method === 'client_secret_post') {
    expect(params.get('client_secret') === rules.clientSecret, 'client_secret is in the body')
    return problems
  }
  expect(!params.has('client_secret'), 'no secret is sent')
  return [...problems, ...await verifyAssertion(params.get('client_assertion') ?? '', rules)]
}

/** rfc7523bis: typ, aud as the issuer alone, a fresh jti, a short life. */
async function verifyAssertion (assertion: string, rules: ClientRules): Promise<string[]> {
  try {
    const header = decodeProtectedHeader(assertion)
    const { payload } = await jwtVerify(assertion, createPublicKey(rules.publicKey ?? ''), {
      issuer: rules.clientId, subject: rules.clientId, typ: 'client-authentication+jwt'
    })
    if (payload.aud !== rules.issuer) return ['the assertion\'s aud is not the issuer alone']
    if (typeof payload.jti !== 'string' || payload.jti.length < 22 || seenAssertions.has(payload.jti)) return ['the assertion\'s jti is not fresh']
    seenAssertions.add(payload.jti)
    const life = (payload.exp ?? 0) - (payload.iat ?? 0)
    return life > 0 && life <= 300 && header.alg !== undefined ? [] : ['the assertion lives too long']
  } catch (error) {
    return [`the assertion does not hold: ${(error as Error).message}`]
  }
}

/** application/x-www-form-urlencoded, read strictly. */
function formDecoded (text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}

/** The metadata of a provider that does everything right. */
export function metadataOf (issuer: string, method: string): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    userinfo_endpoint: `${issuer}/userinfo`,
    revocation_endpoint: `${issuer}/revoke`,
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'form_post', 'jwt', 'form_post.jwt'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256', 'ES256', 'PS256'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: [method],
    authorization_response_iss_parameter_supported: true
  }
}

/** What the conformance suite checks of every authorization request. */
export function problemsOfRequest (params: URLSearchParams, clientId: string): string[] {
  const holds: Record<string, boolean> = {
    'response_type is code': params.get('response_type') === 'code',
    'client_id is ours': params.get('client_id') === clientId,
    'openid is asked for': (params.get('scope') ?? '').split(' ').includes('openid'),
    'PKCE is S256': params.get('code_challenge_method') === 'S256' && params.get('code_challenge')?.length === 43,
    'state has 128 bits': (params.get('state') ?? '').length >= 22,
    'nonce has 22 to 64 characters': /^[\w-]{22,64}$/.test(params.get('nonce') ?? ''),
    'max_age=0 is not asked with prompt=none': !(params.get('prompt') === 'none' && params.get('max_age') === '0'),
    'nothing comes twice': new Set(params.keys()).size === [...params.keys()].length
  }
  const broken = Object.entries(holds).filter(([, kept]) => !kept)
  return broken.map(([rule]) => `authorization request: not so: ${rule}`)
}
