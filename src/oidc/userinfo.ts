// The userinfo endpoint: further claims about the very person of the ID token, plain or signed.
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import type { OidcClient } from './client-auth.ts'
import type { Provider } from './provider.ts'

/** What asking needs. */
export interface UserInfoOptions {
  readonly provider: Provider
  readonly client: OidcClient
  readonly algorithms: readonly string[]
}

/** The answer speaks of somebody else, or is not genuine: nothing of it is used. */
export class UserInfoMismatch extends Error {
  constructor (message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'UserInfoMismatch'
  }
}

/**
 * The claims of the userinfo endpoint.
 *
 * @param accessToken of the login
 * @param subject the `sub` of the ID token, which the answer must have
 * @param options what asking needs
 * @throws {UserInfoMismatch} for another subject or a bad signature; another error if there is no usable
 *   answer
 * @see https://openid.net/specs/openid-connect-core-1_0.html#UserInfo
 */
export async function fetchUserInfo (
  accessToken: string, subject: string, options: UserInfoOptions
): Promise<Record<string, unknown>> {
  const metadata = await options.provider.metadata()
  const { client } = options.client
  const response = await oauth.userInfoRequest(metadata, client, accessToken, options.client.callOptions())
  if (response.status !== 200) throw new Error(`the userinfo endpoint answered ${response.status}`)
  const type = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  const body = await response.text()
  const claims = type === 'application/jwt' ? await signedClaims(body, options) : JSON.parse(body) as Record<string, unknown>
  if (claims?.sub !== subject) throw new UserInfoMismatch('userinfo speaks of another user')
  return claims
}

/** IDT-15: signed by the provider; `iss` and `aud`, where they are given, are its own and ours. */
async function signedClaims (jwt: string, options: UserInfoOptions): Promise<Record<string, unknown>> {
  const keys = await options.provider.keys()
  try {
    const { payload } = await jose.jwtVerify(jwt, keys, { algorithms: [...options.algorithms] })
    if (payload.iss !== undefined && payload.iss !== options.provider.issuer) throw new Error('iss is another issuer')
    if (payload.aud !== undefined && ![payload.aud].flat().includes(options.client.client.client_id)) {
      throw new Error('aud is another client')
    }
    return payload
  } catch (error) {
    throw new UserInfoMismatch('the signed userinfo does not hold', error)
  }
}
