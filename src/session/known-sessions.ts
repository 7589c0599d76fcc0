// Sessions that were opened before, by their sealed text: a few as objects, many as bytes.
import { createMemo } from './memo.ts'
import { openedFrom, wholeOf } from './opened-session.ts'
import type { OpenedSession, Session, SessionSummary } from './session.ts'
import { createShelf } from './shelf.ts'
import { decodeSummary, encodeSummary } from './summary.ts'

/** Remembers sessions as long as their access token lives. */
export interface KnownSessions {
  /**
   * The session of a text, if it is known and its access token lives. Its `whole()` may open the text anew,
   * and then throws `login_required` if the key has gone meanwhile.
   */
  get (text: string, now: number): OpenedSession | undefined
  /** Remembers a session, unless there is no room or its access token is dead. */
  set (text: string, session: OpenedSession, now: number): void
  /** Forgets everything: the keys have changed. */
  clear (): void
}

/** What {@link createKnownSessions} needs. */
export interface KnownSessionsOptions {
  /** About how many bytes of memory the sessions that come often may take, which are kept as objects. */
  readonly memoBytes: number
  /** About how many bytes the others may take. */
  readonly shelfBytes: number
  /** All of a session, opened anew. */
  readonly reopen: (text: string) => Session | null
}

/**
 * Creates it.
 *
 * @param options what it needs
 */
export function createKnownSessions (options: KnownSessionsOptions): KnownSessions {
  const { reopen } = options
  const memo = createMemo<OpenedSession>(options.memoBytes)
  const shelf = createShelf(options.shelfBytes)

  function get (text: string, now: number): OpenedSession | undefined {
    const known = memo.get(text, now)
    if (known !== undefined) return known
    const bytes = shelf.get(text, now)
    if (bytes === undefined) return undefined
    const summary = decodeSummary(bytes)
    memo.set(text, (own) => shelved(summary, own), endOf(summary))
    return shelved(summary, text)
  }

  /** In a scope of its own: what is remembered must hold no other text than its own copy. */
  function shelved (summary: SessionSummary, text: string): OpenedSession {
    return openedFrom(summary, () => reopen(text))
  }

  function set (text: string, session: OpenedSession, now: number): void {
    const until = endOf(session)
    if (now >= until) return
    memo.set(text, () => session, until)
    shelf.set(text, () => wholeOf(session) === null ? null : encodeSummary(session), until, now)
  }

  return {
    get,
    set,
    clear: () => {
      memo.clear()
      shelf.clear()
    }
  }
}

function endOf ({ accessTokenExpiresAt, expiresAt }: Pick<Session, 'accessTokenExpiresAt' | 'expiresAt'>): number {
  return Math.min(accessTokenExpiresAt, expiresAt)
}
