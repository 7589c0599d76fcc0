// Streams and sockets that live as long as their session: ended at its absolute end, and when it is
// ended elsewhere.
import type { Clock } from '../lib/clock.ts'
import type { Session } from '../session/session.ts'

/** The session that a stream belongs to: what ends it, by time or by name. */
export interface StreamSession extends Pick<Session, 'sid' | 'subject' | 'createdAt' | 'expiresAt'> {
  readonly providerSid?: string | undefined
}

/** What is open now, by session. */
export interface LiveStreams {
  /**
   * Notes an open stream. If its session ended while it was being opened, it is ended at once.
   *
   * @param session whose it is
   * @param end ends it; called at most once, and not after the release
   * @returns the release, to be called when the stream has ended by itself; `null` if too many are open
   */
  add (session: StreamSession, end: () => void): (() => void) | null
  /** Ends all streams of a session. @returns how many there were */
  end (sid: string): number
  /** Ends the streams of all sessions that a test names. */
  endWhere (isEnded: (session: StreamSession) => boolean): void
  /** Ends everything, as at shutdown. */
  endAll (): void
  /** How many streams are open. */
  readonly size: number
}

/** What the registry needs. */
export interface LiveStreamsOptions {
  readonly clock: Clock
  /** Whether a session is over before its time. Default: none is. */
  readonly isOver?: (session: StreamSession) => boolean
  /** The most streams of all sessions. Default 50,000. */
  readonly limit?: number
  /** The most streams of one session. Default 100. */
  readonly perSession?: number
}

/** The longest time that a timer can be set for. */
const LONGEST_TIMER = 2 ** 31 - 1

interface Entry { readonly session: StreamSession, readonly end: () => void, timer: NodeJS.Timeout }

/** A stream lives for hours: it keeps no tokens alive. */
function namesOf ({ sid, subject, createdAt, expiresAt, providerSid }: StreamSession): StreamSession {
  return { sid, subject, createdAt, expiresAt, providerSid }
}

/**
 * Creates the registry.
 *
 * @param options clock and bounds
 */
export function createLiveStreams (options: LiveStreamsOptions): LiveStreams {
  const { clock, isOver = () => false, limit = 50_000, perSession = 100 } = options
  const bySid = new Map<string, Set<Entry>>()
  let size = 0

  function remove (entry: Entry): boolean {
    const entries = bySid.get(entry.session.sid)
    if (entries?.delete(entry) !== true) return false
    if (entries.size === 0) bySid.delete(entry.session.sid)
    clearTimeout(entry.timer)
    size -= 1
    return true
  }

  function finish (entry: Entry): void {
    if (remove(entry)) entry.end()
  }

  function timerFor (entry: Entry): NodeJS.Timeout {
    const left = Math.max(0, entry.session.expiresAt * 1000 - clock())
    return setTimeout(() => {
      if (clock() >= entry.session.expiresAt * 1000) finish(entry)
      else entry.timer = timerFor(entry)
    }, Math.min(left, LONGEST_TIMER)).unref()
  }

  return {
    add: (session, end) => {
      const entries = bySid.get(session.sid) ?? new Set()
      if (size >= limit || entries.size >= perSession) return null
      const entry = { session: namesOf(session), end } as Entry
      entry.timer = timerFor(entry)
      bySid.set(session.sid, entries.add(entry))
      size += 1
      if (isOver(entry.session)) queueMicrotask(() => { finish(entry) })
      return () => { remove(entry) }
    },
    end: (sid) => {
      const entries = [...bySid.get(sid) ?? []]
      entries.forEach(finish)
      return entries.length
    },
    endWhere: (isEnded) => {
      const all = [...bySid.values()].flatMap((entries) => [...entries])
      for (const entry of all) if (isEnded(entry.session)) finish(entry)
    },
    endAll: () => { for (const entries of [...bySid.values()]) [...entries].forEach(finish) },
    get size () { return size }
  }
}
