// Which sessions are over before their time: the seam for lists of one's own, and the bounded one in memory.
import type { Clock } from '../lib/clock.ts'
import { createExpiringMap, type ExpiringMap } from '../lib/expiring-map.ts'
import type { Session } from './session.ts'

/** What an entry names; everything else about a session is no matter. */
export type RevocationKind =
  /** One session of ours, by its `sid`. */
  | 'session'
  /** The sessions of one session at the provider, by the `sid` of their ID token. */
  | 'provider_session'
  /** All sessions of a person, by `sub`. */
  | 'subject'
  /** Those sessions of a person whose ID token had no `sid`, by `sub`. */
  | 'subject_without_sid'

/** An entry of the list. Times are Unix seconds. */
export interface Revocation {
  readonly kind: RevocationKind
  readonly id: string
  /** Sessions that began later are unharmed. */
  readonly at: number
  /** When the entry can be forgotten: no session that it names lives longer. */
  readonly until: number
}

/** What the list is asked about. */
export interface RevocableSession extends Pick<Session, 'sid' | 'subject' | 'createdAt'> {
  readonly providerSid?: string | undefined
}

/**
 * The sessions that are over before their time. One list serves one deployment, and so one issuer.
 *
 * The default lives in the memory of a replica. One's own can make a logout certain on all replicas: it keeps
 * a copy in each, spreads every entry, and lets `revoke` settle only when all have it. Bulla answers a logout
 * after that.
 */
export interface RevocationList {
  /**
   * Takes an entry.
   *
   * @throws if it cannot be kept: a back-channel logout is then answered with 400, so that the provider knows
   */
  revoke (entry: Revocation): void | Promise<void>
  /** Whether a session is over. Asked on every call, so it answers from memory, and at once. */
  isRevoked (session: RevocableSession): boolean
}

/** What the list in memory needs. */
export interface RevocationListOptions {
  readonly clock: Clock
  /** How many of the newest entries of a kind are kept for certain, and half of the most. Default 100,000. */
  readonly keep?: number
  /** Is told how many entries went before their time. */
  readonly onEvicted?: (count: number) => void
}

/**
 * Creates the list in memory.
 *
 * @param options clock and bound
 */
export function createRevocationList (
  options: RevocationListOptions
): RevocationList & { readonly size: number } {
  const create = (): ExpiringMap<number> => createExpiringMap({ ...options, keep: options.keep ?? 100_000 })
  // A map for each kind: many logouts here push out no entry that the provider asked for.
  const lists: Record<RevocationKind, ExpiringMap<number>> = {
    session: create(), provider_session: create(), subject: create(), subject_without_sid: create()
  }

  function names (list: ExpiringMap<number>, id: string, createdAt: number): boolean {
    const at = list.get(id)
    return at !== undefined && createdAt <= at
  }

  return {
    revoke: ({ kind, id, at, until }) => {
      lists[kind].set(id, Math.max(at, lists[kind].get(id) ?? 0), until)
    },
    isRevoked: (session) => {
      const { sid, createdAt } = session
      if (names(lists.session, sid, createdAt)) return true
      // The person's names may have to be decoded first.
      const hasOthers = lists.subject.size + lists.subject_without_sid.size + lists.provider_session.size > 0
      if (!hasOthers) return false
      const { subject, providerSid } = session
      return names(lists.subject, subject, createdAt) ||
        (providerSid === undefined
          ? names(lists.subject_without_sid, subject, createdAt)
          : names(lists.provider_session, providerSid, createdAt))
    },
    get size () { return Object.values(lists).reduce((sum, list) => sum + list.size, 0) }
  }
}
