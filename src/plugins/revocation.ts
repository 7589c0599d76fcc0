// Ends sessions before their time: keeps the list, tells those who hold live connections, revokes tokens.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/schema.ts'
import { unixSeconds, type Clock } from '../lib/clock.ts'
import { createCounts, type Counts } from '../lib/counts.ts'
import { BullaError } from '../lib/errors.ts'
import { inTime } from '../lib/in-time.ts'
import { describeError } from '../lib/redact.ts'
import { revokeTokens } from '../oidc/logout.ts'
import {
  createRevocationList, type RevocableSession, type Revocation, type RevocationList
} from '../session/revocation-list.ts'
import type { Session } from '../session/session.ts'
import type { SessionState } from '../session/store.ts'

/** What is counted. */
const COUNTED = [
  'logouts', 'tokens_revoked', 'token_revocations_failed', 'backchannel_logouts', 'backchannel_refused', 'peers_missed',
  'entries_evicted'
] as const

/** What logout does for the rest of the app. */
export interface Revocations {
  readonly counts: Counts<typeof COUNTED[number]>
  /**
   * Puts a session, or all that an entry names, on the list, and ends their live connections on this replica.
   *
   * @throws if the list does not take it, or takes longer than 5 s
   */
  end (entries: ReadonlyArray<Pick<Revocation, 'kind' | 'id' | 'at'>>): Promise<void>
  /** Whether a session is over before its time. */
  isRevoked (session: RevocableSession): boolean
  /** What the cookies amount to, once the list was asked too. */
  judge (state: SessionState): SessionState
  /** A new session, fit to be told from those that a logout in the same second has ended. */
  admit (session: Session): Session
  /** Revokes tokens at the provider, in the background, and logs what became of them. */
  revokeTokens (tokens: Partial<Pick<Session, 'refreshToken' | 'accessToken'>>): void
  /** Calls back when sessions end; `isEnded` tells which. For whoever holds sockets and event streams. */
  onEnded (listener: (isEnded: (session: RevocableSession) => boolean) => void): void
}

declare module 'fastify' {
  interface FastifyInstance { revocations: Revocations }
}

/** What the plugin is handed. */
export interface RevocationPluginOptions {
  readonly config: Config
  readonly clock: Clock
  /** A list of one's own. Default: the one in memory. */
  readonly list?: RevocationList | undefined
}

/** Milliseconds that a list of one's own may take for an entry. */
const LIST_TIMEOUT = 5_000

/** The most sessions whose tokens are being revoked at a time. */
const MAX_PENDING = 1_000

export const revocationPlugin = fp(async (app: FastifyInstance, options: RevocationPluginOptions) => {
  const { config, clock } = options
  const counts = createCounts(COUNTED)
  const list = options.list ?? createRevocationList({
    clock,
    onEvicted: (count) => {
      counts.add('entries_evicted', count)
      app.log.error({ count }, 'the revocation list is full: sessions that were ended live until their tokens expire')
    }
  })
  const listeners: Array<Parameters<Revocations['onEnded']>[0]> = []
  // A list of one's own may copy what it gets: it gets an object that can be copied.
  const isRevoked = options.list === undefined
    ? (session: RevocableSession): boolean => list.isRevoked(session)
    : ({ sid, subject, providerSid, createdAt }: RevocableSession): boolean =>
        list.isRevoked({ sid, subject, createdAt, ...(providerSid === undefined ? {} : { providerSid }) })

  const pending = new Set<Promise<void>>()
  // Registered after the provider's pool, so run before that closes: what was begun is finished, 5 s at most.
  app.addHook('onClose', async () => { await Promise.all(pending) })

  async function revoke (tokens: Parameters<Revocations['revokeTokens']>[0]): Promise<void> {
    try {
      const metadata = await app.oidc.provider.metadata()
      for (const outcome of await revokeTokens(metadata, app.oidc.client, tokens)) {
        counts.add(outcome.kind === 'revoked' ? 'tokens_revoked' : 'token_revocations_failed')
        if (outcome.kind === 'revoked') continue
        const line = { token: outcome.hint, cause: describeError(outcome.cause) }
        app.log.warn(line, 'a token could not be revoked: it lives until it expires')
      }
    } catch (error) {
      counts.add('token_revocations_failed')
      app.log.warn({ cause: describeError(error) }, 'no token could be revoked: they live until they expire')
    }
  }

  app.decorate('revocations', {
    counts,
    end: async (entries) => {
      // No session lives longer than this, so no entry has to: not even where the provider keeps refresh
      // tokens alive after a logout, as it does with offline_access.
      const until = unixSeconds(clock) + config.session.max_age
      for (const entry of entries) {
        await inTime(Promise.resolve(list.revoke({ ...entry, until })), LIST_TIMEOUT)
      }
      for (const listener of listeners) listener(isRevoked)
    },
    isRevoked,
    judge: (state) => {
      if (state.session === null) return state
      try {
        return isRevoked(state.session) ? { ...state, session: null, error: 'session_revoked' } : state
      } catch (error) {
        // It cannot be decoded: whose it is nobody knows.
        if (error instanceof BullaError) return { ...state, session: null, error: error.code }
        throw error
      }
    },
    admit: (session) => isRevoked(session) ? { ...session, createdAt: session.createdAt + 1 } : session,
    revokeTokens: (tokens) => {
      if (pending.size >= MAX_PENDING) {
        counts.add('token_revocations_failed')
        app.log.warn('too many revocations are under way: these tokens live until they expire')
        return
      }
      const work = revoke(tokens).finally(() => { pending.delete(work) })
      pending.add(work)
    },
    onEnded: (listener) => { listeners.push(listener) }
  } satisfies Revocations)
}, { name: 'bulla-revocation', fastify: '5.x', dependencies: ['bulla-oidc'] })
