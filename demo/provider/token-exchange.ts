// The token exchange (RFC 8693): a person's access token for one of another API, as the standard has it.
import { randomUUID } from 'node:crypto'
import { jwtVerify } from 'jose'
import type Provider from 'oidc-provider'
import { signClaims, signingKey } from './keys.ts'
import type { ResolvedOptions } from './options.ts'

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const PARAMETERS = ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope']

/** Teaches a provider to exchange its own access tokens, which must be JWTs. */
export function acceptExchanges (provider: Provider, options: ResolvedOptions): void {
  provider.registerGrantType(TOKEN_EXCHANGE, async (ctx) => {
    const params = ctx.oidc.params as Record<string, string | undefined>
    const types = [params.subject_token_type, params.requested_token_type ?? ACCESS_TOKEN]
    const subject = await holder(params.subject_token ?? '', provider)
    if (subject === null || types.some((type) => type !== ACCESS_TOKEN)) {
      ctx.status = 400
      ctx.body = { error: 'invalid_request' }
      return
    }
    const now = Math.floor(Date.now() / 1000)
    const exchanged = {
      iss: provider.issuer,
      sub: subject,
      aud: params.audience ?? params.resource ?? options.audience ?? options.clientId,
      scope: params.scope ?? '',
      iat: now,
      exp: now + options.accessTokenTtl,
      jti: randomUUID()
    }
    ctx.body = {
      access_token: await signClaims(exchanged, { typ: 'at+jwt' }),
      issued_token_type: ACCESS_TOKEN,
      token_type: 'Bearer',
      expires_in: options.accessTokenTtl,
      scope: exchanged.scope
    }
  }, PARAMETERS)
}

/** Whose access token it is; `null` if it is not one of ours that lives. */
async function holder (token: string, provider: Provider): Promise<string | null> {
  try {
    const { publicKey } = await signingKey()
    const { payload } = await jwtVerify(token, publicKey, { issuer: provider.issuer })
    return payload.sub ?? null
  } catch {
    return null
  }
}
