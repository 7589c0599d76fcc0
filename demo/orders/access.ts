// Lets in who carries a good access token: a JWT of the right issuer, for this API, signed and not expired.
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** What the API relies on of a verified token. */
export interface Caller {
  readonly sub: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  /** Unix seconds. */
  readonly expiresAt: number
}

declare module 'fastify' {
  interface FastifyRequest { caller: Caller | null }
}

/** Answers with a Bearer challenge. @see RFC 6750 section 3.1 */
async function challenge (reply: FastifyReply, status: 401 | 403, error?: string, description?: string) {
  const parts = ['realm="orders"']
  if (error !== undefined) parts.push(`error="${error}"`)
  if (description !== undefined) parts.push(`error_description="${description}"`)
  reply.code(status).header('www-authenticate', `Bearer ${parts.join(', ')}`)
  const body = { error: error ?? 'unauthorized', error_description: description ?? 'A token is needed.' }
  return await reply.send(body)
}

/**
 * An `onRequest` hook that verifies the Bearer token and sets `request.caller`.
 * @param issuer whose tokens count; its keys are found by discovery, at the first request
 * @param audience for whom they must be
 */
export function requireToken (issuer: string, audience: string) {
  let keys: Promise<JWTVerifyGetKey> | undefined
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) return await challenge(reply, 401)
    keys ??= discoverKeys(issuer)
    const key = await keys.catch(() => { keys = undefined })
    if (key === undefined) return await reply.code(503).send({ error: 'issuer_unavailable' })
    try {
      const { payload } = await jwtVerify(token, key, { issuer, audience, algorithms: ['RS256'], typ: 'at+jwt' })
      request.caller = callerOf(payload)
    } catch (error) {
      const reason = error instanceof errors.JWTExpired ? 'The token has expired.' : 'The token is not good here.'
      return await challenge(reply, 401, 'invalid_token', reason)
    }
  }
}

async function discoverKeys (issuer: string): Promise<JWTVerifyGetKey> {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`, { signal: AbortSignal.timeout(5000) })
  const metadata = await response.json() as { issuer: string, jwks_uri: string }
  if (metadata.issuer !== issuer) throw new Error('another issuer answered')
  return createRemoteJWKSet(new URL(metadata.jwks_uri))
}

function callerOf (claims: JWTPayload): Caller {
  const roles = Array.isArray(claims.roles) ? claims.roles.filter((role) => typeof role === 'string') : []
  return {
    sub: claims.sub ?? '', scopes: String(claims.scope ?? '').split(' '), roles, expiresAt: claims.exp ?? 0
  }
}

/** An `onRequest` hook that asks for a scope. */
export function requireScope (scope: string) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    if (request.caller?.scopes.includes(scope) === true) return
    return await challenge(reply, 403, 'insufficient_scope', `The scope ${scope} is needed.`)
  }
}

/** An `onRequest` hook that asks for a role. */
export function requireRole (role: string) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    if (request.caller?.roles.includes(role) === true) return
    return await reply.code(403).send({ error: 'forbidden', error_description: `The role ${role} is needed.` })
  }
}
