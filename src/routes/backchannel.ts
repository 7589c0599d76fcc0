// Back-channel logout: the provider says who is logged out; this replica and its peers end their sessions.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import { trustedCertificates } from '../lib/certificates.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { BullaError } from '../lib/errors.ts'
import { createExpiringMap } from '../lib/expiring-map.ts'
import { describeError } from '../lib/redact.ts'
import { LogoutTokenError, verifyLogoutToken, type LogoutToken } from '../oidc/backchannel.ts'
import { CLOCK_TOLERANCE } from '../oidc/client-auth.ts'
import { createPeers, PEER_HEADER } from '../oidc/peers.ts'
import type { Revocation } from '../session/revocation-list.ts'
import { endpoint } from './endpoint.ts'

/** What the routes are handed. */
export interface BackchannelRoutesOptions { readonly config: Config, readonly clock: Clock }

/** A logout token has some 1,000 characters. */
const BODY_LIMIT = 16 * 1024

/** The most tokens that are being verified at a time; more are asked to come again. */
const MAX_AT_A_TIME = 64

/** How many `jti`s are remembered for certain: each for its token's life, 11 minutes at most. */
const REMEMBERED = 50_000

export async function backchannelRoutes (
  app: FastifyInstance, options: BackchannelRoutesOptions
): Promise<void> {
  const { config, clock } = options
  const { oidc, revocations } = app
  const seen = createExpiringMap<true>({ clock, keep: REMEMBERED })
  const url = '/backchannel-logout'
  const peers = createPeers({
    peers: config.peers,
    path: `${config.base_path}${url}`,
    ca: trustedCertificates(config.upstream_ca),
    onMissed: (peer, cause) => {
      revocations.counts.add('peers_missed')
      app.log.error({ peer, cause: describeError(cause) }, 'a peer was not told of a logout: its sessions live on there')
    }
  })
  app.addHook('onClose', async () => { await peers.close() })
  let underWay = 0

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: BODY_LIMIT },
    async (_request: FastifyRequest, body: string) => new URLSearchParams(body))

  endpoint(app, {
    method: 'POST',
    url,
    handler: async (request, reply) => {
      if (underWay >= MAX_AT_A_TIME) throw new BullaError('rate_limited', { retryAfter: 1 })
      underWay += 1
      try {
        await logOut(request, tokenOf(request.body))
        return await reply.code(200).send()
      } catch (error) {
        return await refuse(request, reply, error)
      } finally {
        underWay -= 1
      }
    }
  })

  async function logOut (request: FastifyRequest, text: string): Promise<void> {
    const token = await verifyLogoutToken(text, {
      issuer: config.issuer,
      clientId: config.client_id,
      algorithms: config.id_token_signing_alg,
      now: clock(),
      keys: async () => await oidc.provider.keys()
    })
    const isForwarded = request.headers[PEER_HEADER] === '1'
    if (seen.get(token.jti) === true) {
      // What comes from a peer was acted on already, by way of another one or of this very replica.
      if (isForwarded) return
      throw new LogoutTokenError('this token was used before')
    }
    seen.set(token.jti, true, token.expiresAt)
    await end(token)
    revocations.counts.add('backchannel_logouts')
    request.log.info({ by: token.sid === undefined ? 'sub' : 'sid', from_peer: isForwarded }, 'logged out by the provider')
    if (!isForwarded) await peers.tell(text)
  }

  /** A logout that could not be carried out may be tried again with the same token. */
  async function end (token: LogoutToken): Promise<void> {
    try {
      await revocations.end(entriesOf(token, unixSeconds(clock)))
    } catch (error) {
      seen.set(token.jti, true, 0)
      throw error
    }
  }

  async function refuse (
    request: FastifyRequest, reply: FastifyReply, error: unknown
  ): Promise<FastifyReply> {
    const isToken = error instanceof LogoutTokenError
    revocations.counts.add('backchannel_refused')
    request.log.warn({ cause: describeError(error) }, 'a back-channel logout was refused')
    return await reply.code(400).send({
      error: isToken ? 'invalid_request' : 'logout_failed',
      error_description: isToken ? `The logout token is refused: ${error.message}.` : 'The logout could not be carried out.'
    })
  }
}

function tokenOf (body: unknown): string {
  const tokens = body instanceof URLSearchParams ? body.getAll('logout_token') : []
  const [token] = tokens
  if (token === undefined || token === '' || tokens.length > 1) {
    throw new LogoutTokenError('logout_token must be given once')
  }
  return token
}

/**
 * What a token ends: the sessions of its `sid`, else all of its `sub`. Where a session's ID token had no
 * `sid`, nobody can tell which one is meant: then those of the `sub` end, rather than none.
 */
function entriesOf (token: LogoutToken, now: number): Array<Pick<Revocation, 'kind' | 'id' | 'at'>> {
  const { sid, sub } = token
  // Sessions that began after the logout are unharmed, as far as two clocks can tell.
  const at = Math.min(now, token.issuedAt + CLOCK_TOLERANCE)
  if (sid === undefined) return [{ kind: 'subject', id: sub ?? '', at }]
  return [
    { kind: 'provider_session', id: sid, at },
    ...(sub === undefined ? [] : [{ kind: 'subject_without_sid' as const, id: sub, at }])
  ]
}
