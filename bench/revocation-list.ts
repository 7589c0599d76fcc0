// What the revocation list costs: nanoseconds a lookup beside the opening of a session, bytes an entry.
import { randomBytes } from 'node:crypto'
import { systemClock } from '../src/lib/clock.ts'
import { createRevocationList, type RevocableSession, type RevocationList } from '../src/session/revocation-list.ts'

const isSmoke = process.argv.includes('--smoke')
const LOOKUPS = isSmoke ? 200_000 : 5_000_000
const until = Math.floor(Date.now() / 1000) + 43_200
const id = (): string => randomBytes(16).toString('base64url')

const sessions: RevocableSession[] = Array.from({ length: 10_000 }, () => ({
  sid: id(), subject: id(), providerSid: id(), createdAt: until - 50_000
}))

/** Nanoseconds of one lookup of a session that is not on the list, which is what every call pays. */
function measure (list: RevocationList): number {
  let hits = 0
  const start = process.hrtime.bigint()
  for (let index = 0; index < LOOKUPS; index++) {
    if (list.isRevoked(sessions[index % sessions.length] as RevocableSession)) hits += 1
  }
  if (hits > 0) throw new Error('a session is on the list that should not be')
  return Number(process.hrtime.bigint() - start) / LOOKUPS
}

function heap (): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const kinds = ['session', 'provider_session', 'subject'] as const
const rows: Array<Record<string, string | number>> = []
for (const entries of [0, 1, 1_000, 100_000, 1_000_000]) {
  const before = heap()
  const list = createRevocationList({ clock: systemClock })
  for (let index = 0; index < entries; index++) {
    list.revoke({ kind: kinds[index % kinds.length] ?? 'session', id: id(), at: until - 43_200, until })
  }
  const bytes = heap() - before
  measure(list)
  rows.push({
    entries,
    kept: list.size,
    'ns a lookup': Math.round(measure(list)),
    'MB (run with --expose-gc)': Math.round(bytes / 1e5) / 10
  })
}
console.table(rows)
