// Sessions that are known: a few as objects, the others as bytes, none longer than its access token lives.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { encodeSession } from '../../src/session/codec.ts'
import { createKnownSessions, type KnownSessions, type KnownSessionsOptions } from '../../src/session/known-sessions.ts'
import { openedOf, openSession } from '../../src/session/opened-session.ts'
import type { OpenedSession, Session } from '../../src/session/session.ts'
import { keycloak } from '../../bench/token-sets.ts'
import { noise, NOW, sampleSession } from '../support/sealing.ts'

const session = sampleSession({ refreshToken: 'refresh', providerSid: 'at-the-provider', claims: { name: 'Jane' } })
const text = noise(600)

interface Kit { readonly known: KnownSessions, readonly reopened: string[] }

type Sizes = Partial<Pick<KnownSessionsOptions, 'memoBytes' | 'shelfBytes'>>

function kit (sizes: Sizes = {}, whole: Session | null = session): Kit {
  const reopened: string[] = []
  const reopen = (text: string): Session | null => {
    reopened.push(text)
    return whole
  }
  const known = createKnownSessions({ memoBytes: 100_000, shelfBytes: 2 ** 20, reopen, ...sizes })
  return { reopened, known }
}

t.test('what was opened once comes back as bytes do, then as the same object', async (t) => {
  const { known, reopened } = kit()
  t.equal(known.get(text, NOW), undefined)
  known.set(text, openedOf(session), NOW)
  const second = known.get(text, NOW) as OpenedSession
  const { sid, subject, providerSid } = session
  t.match(second, { sid, accessToken: 'access', hasRefreshToken: true, subject, providerSid })
  const third = known.get(text, NOW)
  t.not(third, second)
  t.equal(known.get(text, NOW), third, 'from now on it is one of those that come often')
  t.strictSame(reopened, [], 'calls need no more of it')
  t.strictSame(second.whole(), session)
  t.equal(second.whole(), second.whole())
  t.strictSame(reopened, [text], 'once for each that was asked')
})

t.test('a session is known until its access token or it itself ends, and until the keys change', async (t) => {
  for (const part of [{ accessTokenExpiresAt: NOW + 10 }, { expiresAt: NOW + 10 }]) {
    const { known } = kit()
    known.set(text, openedOf({ ...session, ...part }), NOW)
    t.ok(known.get(text, NOW + 9))
    t.ok(known.get(text, NOW + 9))
    t.equal(known.get(text, NOW + 10), undefined)
    const late = kit().known
    for (let time = 0; time < 3; time++) late.set(text, openedOf({ ...session, ...part }), NOW + 10)
    t.equal(late.get(text, NOW + 9), undefined, 'what is dead is not remembered')
  }
  const { known } = kit()
  for (let time = 0; time < 3; time++) known.set(text, openedOf(session), NOW)
  t.ok(known.get(text, NOW))
  known.clear()
  t.equal(known.get(text, NOW), undefined)
})

t.test('each of both memories works without the other', async (t) => {
  const bytes = kit({ memoBytes: 0 }).known
  const objects = kit({ shelfBytes: 0 }).known
  const neither = kit({ memoBytes: 0, shelfBytes: 0 }).known
  for (let time = 0; time < 3; time++) {
    for (const known of [bytes, objects, neither]) known.set(text, openedOf(session), NOW)
  }
  t.not(bytes.get(text, NOW), bytes.get(text, NOW))
  t.equal(bytes.get(text, NOW)?.accessToken, 'access')
  t.ok(objects.get(text, NOW))
  t.equal(objects.get(text, NOW), objects.get(text, NOW))
  t.equal(neither.get(text, NOW), undefined)
})

t.test('no session keeps the header alive that its text was a slice of', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const { known } = kit({ memoBytes: 4 * 1024 * 1024 })
  const read = (index: number): void => {
    const bytes = Buffer.from(noise(16_000, 'others') + noise(600, `text ${index}`))
    const text = bytes.toString('latin1').slice(16_000)
    for (let time = 0; time < 3; time++) {
      if (known.get(text, NOW) === undefined) known.set(text, openedOf(session), NOW)
    }
  }
  const heap = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }
  for (let index = 0; index < 50; index++) read(index)
  const before = heap()
  for (let index = 50; index < 550; index++) read(index)
  const grown = (heap() - before) / 500
  t.ok(grown < 8_000, `${grown} bytes for each of 500 sessions, whose headers have 16,000`)
})

t.test('S40 what cannot be decoded to its end is not kept as bytes', async (t) => {
  const { name, ...tokens } = keycloak()
  const encoded = encodeSession({ ...session, ...tokens })
  const cut = openSession(encoded.subarray(0, encoded.length - 8)) as OpenedSession
  const { known } = kit({ memoBytes: 0 })
  known.set(text, cut, NOW)
  t.equal(known.get(text, NOW), undefined)
})

t.test('a session whose key is gone is none for whoever asks for all of it', async (t) => {
  const retired = kit({}, null).known
  retired.set(text, openedOf(session), NOW)
  const opened = retired.get(text, NOW)
  t.equal(opened?.subject, 'jane')
  t.throws(() => opened?.whole(), { code: 'login_required' })
})
