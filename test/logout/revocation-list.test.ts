// The list of sessions that are over before their time: what it names, for how long, and its bounds.
import { randomBytes } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { createCounts } from '../../src/lib/counts.ts'
import { createExpiringMap } from '../../src/lib/expiring-map.ts'
import { inTime } from '../../src/lib/in-time.ts'
import { encodeSession } from '../../src/session/codec.ts'
import { openSession } from '../../src/session/opened-session.ts'
import { createRevocationList, type RevocableSession, type RevocationList } from '../../src/session/revocation-list.ts'
import { build, ringKey } from '../support/build.ts'
import { sampleSession } from '../support/sealing.ts'
import { sessionCookie } from '../support/session-cookie.ts'
import { startWorld } from '../support/world.ts'

const session: RevocableSession = { sid: 'ours', subject: 'nanni', providerSid: 'theirs', createdAt: 1000 }
const { providerSid, ...withoutSid } = session

function start (keep?: number) {
  const time = { now: 2000, evicted: 0 }
  const list = createRevocationList({
    clock: () => time.now * 1000,
    onEvicted: (count) => { time.evicted += count },
    ...(keep === undefined ? {} : { keep })
  })
  return { list, time }
}

t.test('SEA-10/11 each kind of entry names the sessions that it says, and no other', async (t) => {
  t.notOk(start().list.isRevoked(session))
  for (const [kind, id, hit, missed] of [
    ['session', 'ours', session, { ...session, sid: 'other' }],
    ['provider_session', 'theirs', session, { ...session, providerSid: 'other' }],
    ['subject', 'nanni', session, { ...session, subject: 'other' }],
    ['subject', 'nanni', withoutSid, { ...withoutSid, subject: 'other' }],
    ['subject_without_sid', 'nanni', withoutSid, session]
  ] as const) {
    const { list } = start()
    list.revoke({ kind, id, at: 1500, until: 3000 })
    t.ok(list.isRevoked(hit), `${kind} names it`)
    t.notOk(list.isRevoked(missed), `${kind} names no other`)
    t.notOk(list.isRevoked({ ...hit, createdAt: 1501 }), 'nor one that began later')
    t.ok(list.isRevoked({ ...hit, createdAt: 1500 }))
  }
})

t.test('entries end at their time, and what is over stays over', async (t) => {
  const { list, time } = start()
  list.revoke({ kind: 'subject', id: 'nanni', at: 1500, until: 3000 })
  list.revoke({ kind: 'subject', id: 'nanni', at: 1200, until: 2500 })
  t.ok(list.isRevoked({ ...session, createdAt: 1400 }), 'an older token takes nothing back')
  time.now = 3000
  t.notOk(list.isRevoked(session))
  t.equal(list.size, 1)
})

t.test('the list is bounded: the oldest go, counted, and logouts here push out none of the provider\'s', async (t) => {
  const { list, time } = start(100)
  list.revoke({ kind: 'subject', id: 'nanni', at: 1500, until: 9000 })
  for (let index = 0; index < 1000; index++) list.revoke({ kind: 'session', id: `sid-${index}`, at: 1500, until: 9000 })
  t.equal(list.size, 201)
  t.equal(time.evicted, 800)
  t.ok(list.isRevoked(session))
  for (let index = 900; index < 1000; index++) {
    t.ok(list.isRevoked({ ...session, subject: 'x', sid: `sid-${index}` }))
  }
  t.notOk(list.isRevoked({ ...session, subject: 'x', sid: 'sid-1' }))
})

t.test('100,000 entries of a kind are kept, and twice as many at most, whatever comes', async (t) => {
  const { list } = start()
  const revoke = (index: number) => { list.revoke({ kind: 'session', id: `sid-${index}`, at: 1500, until: 9000 }) }
  for (let index = 0; index < 100_000; index++) revoke(index)
  for (let index = 0; index < 100_000; index += 997) t.ok(list.isRevoked({ ...session, sid: `sid-${index}` }))
  for (let index = 100_000; index < 500_000; index++) revoke(index)
  t.equal(list.size, 200_000)
})

t.test('what is over makes room without a word', async (t) => {
  let now = 0
  let evicted = 0
  const onEvicted = (count: number): void => { evicted += count }
  const map = createExpiringMap<number>({ clock: () => now, keep: 2, onEvicted })
  for (const key of ['a', 'b', 'c', 'd']) map.set(key, 1, 1)
  now = 2_000
  for (const key of ['e', 'f', 'e', 'f']) map.set(key, 2, 10)
  t.equal(evicted, 0)
  t.equal(map.size, 4)
  t.equal(map.get('c'), undefined)
  t.equal(map.get('e'), 2)
})

t.test('counts count, and work that takes too long is given up', async (t) => {
  const counts = createCounts(['one', 'two'])
  counts.add('two')
  t.strictSame(counts.values, { one: 0, two: 1 })
  t.equal(await inTime(Promise.resolve(7), 1000), 7)
  await t.rejects(inTime(new Promise(() => {}), 1), /longer than 1 ms/)
  await t.rejects(inTime(Promise.reject(new Error('no')), 1000), /no/)
})

t.test('a list of one\'s own is asked and told; one that fails keeps nobody logged in', async (t) => {
  const told: string[] = []
  let isDown = false
  const revocationList: RevocationList = {
    revoke: async ({ kind, id }) => {
      if (isDown) throw new Error('away')
      told.push(`${kind} ${id}`)
    },
    isRevoked: ({ sid }) => told.includes(`session ${sid}`)
  }
  const world = await startWorld(t, { deps: { revocationList } })
  await world.login()
  const copy = world.browser.clone()
  t.ok((await copy.fetch('/bff/session')).json().authenticated)
  await world.browser.fetch('/bff/logout', { method: 'POST' })
  t.equal(told.length, 1)
  t.equal((await copy.fetch('/api/orders')).json().code, 'session_revoked')
  await world.login()
  isDown = true
  t.equal((await world.browser.fetch('/bff/logout', { method: 'POST' })).status, 200)
  t.notOk((await world.browser.fetch('/bff/session')).json().authenticated)
})

t.test('whoever holds live connections is told which sessions ended', async (t) => {
  const world = await startWorld(t)
  await world.login()
  const other = world.browser.clone()
  other.jar.clear(({ name }) => name.startsWith('bulla'))
  await other.navigate(`${world.bulla.url}/bff/login`)
  const { cookies, store } = world.bulla.app.sessions
  const { url } = world.bulla
  const sessions = [world.browser, other].map(({ jar }) => store.open(cookies.read(jar.header(url))))
  const ended: boolean[][] = []
  world.bulla.app.revocations.onEnded((isEnded) => {
    ended.push(sessions.map((each) => each !== null && isEnded(each)))
  })
  await world.browser.fetch('/bff/logout', { method: 'POST' })
  t.strictSame(ended, [[true, false]])
})

t.test('REV-02/03 revocations under way are bounded, and one without a provider is counted as failed', async (t) => {
  const { app, server } = await build(t)
  for (let count = 0; count <= 1000; count++) app.revocations.revokeTokens({ accessToken: 'at' })
  t.equal(app.revocations.counts.values.token_revocations_failed, 1, 'the one too many is not begun')
  await server.close()
  t.equal(app.revocations.counts.values.token_revocations_failed, 1001, 'the provider cannot be reached')
})

t.test('a full list says so', async (t) => {
  const lines: string[] = []
  const logger = { level: 'error', stream: { write: (line: string) => { lines.push(line) } } }
  const { app } = await build(t, { deps: { logger } })
  const entries = (from: number) => Array.from({ length: 100_000 }, (_, index) => (
    { kind: 'session' as const, id: `sid-${from + index}`, at: 1 }
  ))
  for (const from of [0, 100_000]) await app.revocations.end(entries(from))
  t.strictSame(lines, [])
  await app.revocations.end([{ kind: 'session', id: 'one more', at: 1 }])
  t.match(lines.map((line) => JSON.parse(line)), [{ count: 100_000, msg: /the revocation list is full/ }])
  t.equal(app.revocations.counts.values.entries_evicted, 100_000)
})

t.test('the settings of logout are checked', async (t) => {
  const base = {
    public_url: 'http://localhost:3000',
    issuer: 'https://id.example',
    client_id: 'app',
    client_secret: 'a-client-secret-of-a-test',
    keys: [ringKey()]
  }
  t.match(loadConfig({ settings: base }), { clear_site_data: ['cache', 'storage'], peers: [], backchannel_logout: true })
  const env = {
    BULLA_PUBLIC_URL: base.public_url,
    BULLA_ISSUER: base.issuer,
    BULLA_CLIENT_ID: base.client_id,
    BULLA_CLIENT_SECRET: base.client_secret,
    BULLA_KEYS: base.keys.join(),
    BULLA_PEERS: 'dns:bulla-headless:3000',
    BULLA_CLEAR_SITE_DATA: 'off',
    BULLA_BACKCHANNEL_LOGOUT: 'false'
  }
  t.match(loadConfig({ env }), { peers: ['dns:bulla-headless:3000'], clear_site_data: ['off'], backchannel_logout: false })
  const problemsOf = (settings: object): readonly string[] => {
    try {
      loadConfig({ settings: { ...base, ...settings } })
      return []
    } catch (error) {
      return (error as { problems: string[] }).problems
    }
  }
  t.match(problemsOf({ clear_site_data: ['cookies'] }), [/^clear_site_data names cookies: /])
  t.match(problemsOf({ clear_site_data: ['*'] }), [/^clear_site_data names \*: /])
  t.match(problemsOf({ peers: ['bulla:3000'] }), [/^peers: bulla:3000 must be dns:host:port or an origin/])
})

t.test('a list of one\'s own is asked with a plain object, whole in every copy', async (t) => {
  const asked: RevocableSession[] = []
  const revocationList: RevocationList = {
    revoke: () => {},
    isRevoked: (session) => {
      asked.push(structuredClone(session))
      return session.subject === 'nanni'
    }
  }
  const built = await build(t, { deps: { revocationList } })
  const headers = { cookie: await sessionCookie(built, { providerSid: 'theirs' }) }
  const state = built.app.sessions.read({ headers } as unknown as FastifyRequest)
  t.match(state, { session: null, error: 'session_revoked' })
  t.match(asked, [{ sid: /./, subject: 'nanni', providerSid: 'theirs', createdAt: Number }])
})

t.test('S40 a session whose person cannot be told is none, once somebody was logged out', async (t) => {
  const { app } = await build(t)
  const bytes = encodeSession(sampleSession({ refreshToken: randomBytes(48).toString('base64url') }))
  const broken = openSession(bytes.subarray(0, bytes.length - 8))
  const state = { session: broken, error: null, isSpent: false, own: app.sessions.cookies.read(undefined) }
  t.equal(app.revocations.judge(state), state)
  await app.revocations.end([{ kind: 'subject', id: 'somebody', at: 1 }])
  t.match(app.revocations.judge(state), { session: null, error: 'login_required' })
})
