// Sessions in a browser's cookies: chunked, spliced, doubled, grown, shrunk, planted, too large, too old.
import fc from 'fast-check'
import t from 'tap'
import { keycloak } from '../../bench/token-sets.ts'
import { MAX_CHUNKS } from '../../src/session/chunks.ts'
import type { Session } from '../../src/session/session.ts'
import { headerOf, jarFor, namedKey, noise, NOW, sampleSession, sealingKit, take } from '../support/sealing.ts'

const withToken = (length: number, part: Partial<Session> = {}): Session =>
  sampleSession({ accessToken: noise(length, `${length}`), ...part })
const pairs = (header: string): string[] => header.split('; ')
const names = (header: string): string[] => pairs(header).map((pair) => pair.slice(0, pair.indexOf('=')))
const count = (header: string): number => names(header).length

t.test('the Keycloak set takes one chunk of at most 1,900 bytes', async (t) => {
  const kit = sealingKit({ budget: 7000 })
  const { name, ...tokens } = keycloak()
  const lengths = [tokens.accessToken, tokens.refreshToken, tokens.idToken].map((token) => token.length)
  t.strictSame(lengths, [1476, 887, 1127])
  const header = await headerOf(kit, sampleSession(tokens))
  t.equal(count(header), 1)
  t.ok(header.length <= 1900, `${header.length} bytes`)
  t.strictSame(kit.store.read(header).session?.whole(), sampleSession(tokens))
})

t.test('COK-06 COK-07 S37 any change from N to M chunks leaves exactly M in the browser', async (t) => {
  const kit = sealingKit({ budget: 32_000 })
  const lengths = Array.from({ length: MAX_CHUNKS }, (_, index) => 3300 + index * 3840)
  for (const before of lengths) {
    for (const after of lengths) {
      for (const isSeen of [true, false]) {
        const jar = jarFor(kit)
        take(jar, kit, await kit.store.write(withToken(before), null))
        t.equal(jar.cookies.length, lengths.indexOf(before) + 1)
        const own = isSeen ? kit.cookies.read(jar.header(kit.url)) : null
        take(jar, kit, await kit.store.write(withToken(after, { generation: 1 }), own))
        t.equal(jar.cookies.length, lengths.indexOf(after) + 1)
        t.equal(kit.store.read(jar.header(kit.url)).session?.accessToken, noise(after, `${after}`))
      }
    }
  }
})

t.test('COK-01 COK-09/10 every size is cut into chunks of at most 3,900 bytes, also exact multiples', async (t) => {
  const kit = sealingKit({ budget: 32_000 })
  const lengths = new Set<number>()
  for (let length = 3600; length < 3760; length++) {
    const header = await headerOf(kit, withToken(length))
    lengths.add(count(header))
    for (const pair of pairs(header)) {
      t.ok(pair.length - 1 <= 3900)
      t.match(pair, /^__Host-Http-bulla\.\d=[A-Za-z0-9_.-]+$/)
    }
    t.equal(kit.store.read(header).session?.accessToken.length, length)
  }
  t.strictSame([...lengths], [1, 2])
})

t.test('COK-06 chunks left over from a longer session are ignored, and go at the next write', async (t) => {
  const kit = sealingKit()
  const short = await headerOf(kit, withToken(100))
  const long = await headerOf(kit, withToken(7000))
  const mixed = [short, ...pairs(long).slice(1)].join('; ')
  const { session, own } = kit.store.read(mixed)
  t.equal(session?.accessToken.length, 100)
  const written = await kit.store.write(withToken(100, { generation: 1 }), own)
  t.strictSame(written.filter((line) => line.includes('Max-Age=0')).map((line) => line.split('=', 1)[0]),
    ['__Host-Http-bulla.1', '__Host-Http-bulla.2'].slice(0, count(long) - 1))
})

t.test('SEA-09 COK-06 chunks of two sessions or generations, in any order or number, never open', async () => {
  const kit = sealingKit({ budget: 32_000 })
  const a = pairs(await headerOf(kit, withToken(11_000)))
  const b = pairs(await headerOf(kit, withToken(11_000, { generation: 1 })))
  const values = [...a, ...b].map((pair) => pair.slice(pair.indexOf('=') + 1))
  const whole = [a, b].map((set) => set.map((pair) => pair.slice(pair.indexOf('=') + 1)).join())
  fc.assert(fc.property(fc.array(fc.constantFrom(...values), { minLength: 1, maxLength: 8 }), (chosen) => {
    const header = chosen.map((value, index) => `__Host-Http-bulla.${index}=${value}`).join('; ')
    const isWhole = whole.some((set) => chosen.join().startsWith(set))
    return (kit.store.read(header).session !== null) === isWhole
  }), { numRuns: 2000, seed: 3 })
})

t.test('SEA-01 SEA-09 COK-03 a dropped, moved, cut, extended or changed chunk is no session, and nothing is deleted', async (t) => {
  const kit = sealingKit()
  const chunks = pairs(await headerOf(kit, withToken(7000)))
  t.equal(chunks.length, 2 + Number(chunks.length > 2))
  const refused = [
    chunks.slice(1), chunks.slice(0, -1), chunks.map((pair) => pair.slice(0, -1)), chunks.map((pair) => `${pair}A`),
    [...chunks].reverse().map((pair, index) => pair.replace(/\.\d=/, `.${index}=`)),
    chunks.map((pair) => pair.replace(/\.(\d)=/, (_, digit) => `.${Number(digit) + 1}=`))
  ]
  for (const header of refused.map((set) => set.join('; '))) {
    t.match(kit.store.read(header), { session: null, error: 'login_required' })
  }
})

t.test('COK-04 a name that comes twice is no session, whichever cookie of ours it is', async (t) => {
  const kit = sealingKit()
  const session = withToken(100)
  const header = await headerOf(kit, session)
  const tombstone = (await kit.store.markSpent({ ...session, sid: 'other' })).split(';', 1)[0] ?? ''
  t.not(kit.store.read(`${header}; ${tombstone}`).session, null)
  for (const twice of [`${header}; ${header}`, `${header}; __Host-Http-bulla.0=`, `__Host-Http-bulla.0=x; ${header}`,
    `${header}; ${tombstone}; ${tombstone}`, `${header}; __Host-Http-bulla.5=a; __Host-Http-bulla.5=b`]) {
    t.equal(kit.store.read(twice).session, null)
  }
  t.not(kit.store.read(`${header}; __Host-Http-bulla-login.a=1; __Host-Http-bulla-login.a=2`).session, null)
})

t.test('FIX-03 COK-06 S37 twins by another name, case or number are not seen', async (t) => {
  const kit = sealingKit()
  const header = await headerOf(kit, withToken(100))
  const value = header.slice(header.indexOf('=') + 1)
  for (const name of ['bulla.0', 'bulla', '__host-http-bulla.0', '__Host-Http-BULLA.0', '__Host-Http-bulla', '__Host-bulla.0',
    '__Host-Http-bulla.00', '__Host-Http-bulla.-0', '__Host-Http-bulla.0e0', '__Host-Http-bulla.01', '__Host-Http-bulla.999999999',
    '__Host-Http-bulla.__proto__', '__Host-Http-bullax.0', '__Secure-bulla.0', '']) {
    t.strictSame([...kit.cookies.read(`${name}=${value}`).values.keys()], [], name)
    t.not(kit.store.read(`${header}; ${name}=${value}x`).session, null, `beside ${name}`)
  }
})

t.test('BBA-08 over https every name says that no script and no sibling host set it', async (t) => {
  const { cookies } = sealingKit()
  for (const kind of ['session', 'login', 'idle', 'end', 'spent', 'route'] as const) {
    t.match(cookies.name(kind), /^__Host-Http-bulla/)
    t.match(cookies.set(kind, undefined, 'x', 1), /; Path=\/; HttpOnly; Secure/, 'which the browser holds against it')
  }
  t.match(cookies.name('refresh'), /^__Secure-bulla-refresh/, 'a path of its own rules __Host- out')
})

t.test('S15 S38 odd Cookie headers are read without a fault', async (t) => {
  const kit = sealingKit()
  const header = await headerOf(kit, withToken(100))
  for (const odd of ['', ';', ';;; ;', '=', '=;=', 'a', 'a=', '; =x', '__Host-Http-bulla.0', '\u0000=\u0000']) {
    t.equal(kit.store.read(odd).session, null)
    t.not(kit.store.read(`${odd}; ${header}`).session, null, JSON.stringify(odd))
    t.not(kit.store.read(`${header};${odd}`).session, null, JSON.stringify(odd))
  }
  t.equal(kit.store.read(undefined).session, null)
})

t.test('SEA-05 S23 S24 the sealed end counts, whatever the browser keeps, also for what was opened before', async (t) => {
  const kit = sealingKit()
  const session = withToken(100, { expiresAt: NOW + 200, accessTokenExpiresAt: NOW + 900 })
  const header = await headerOf(kit, session)
  t.not(kit.store.read(header).session, null)
  kit.time = NOW + 199
  t.not(kit.store.read(header).session, null)
  kit.time = NOW + 200
  t.match(kit.store.read(header), { session: null, error: 'session_expired' })
})

t.test('SEA-10/11 REV-01 what was opened before is dead once it was logged out', async (t) => {
  const kit = sealingKit()
  const session = withToken(100)
  const header = await headerOf(kit, session)
  const { own } = kit.store.read(header)
  const jar = jarFor(kit)
  take(jar, kit, await kit.store.end(session, own))
  t.match(kit.store.read(`${header}; ${jar.header(kit.url) ?? ''}`), { session: null, error: 'login_required' })
})

t.test('COK-08 COK-12 S29 deletions repeat the attributes of what they delete, and leave an empty jar', async (t) => {
  for (const layout of ['single', 'split'] as const) {
    const kit = sealingKit({ layout })
    const session = withToken(7000, { refreshToken: noise(5000, 'r') })
    const jar = jarFor(kit)
    const written = await kit.store.write(session, null)
    take(jar, kit, written)
    const ended = await kit.store.end(null, kit.cookies.read(jar.header(kit.url)))
    const attributes = (line: string): string => line.replace(/=[^;]*/, '').replace(/; (Max-Age|Expires)=[^;]*/g, '')
    for (const line of ended) {
      t.ok(written.some((set) => attributes(set) === attributes(line)), line)
      t.match(line, /; SameSite=Strict/)
    }
    take(jar, kit, ended)
    t.equal(jar.cookies.length, 0)
  }
})

t.test('over the budget the ID token goes first, then the claims, then the login fails and says why', async (t) => {
  const shed: unknown[] = []
  const kit = sealingKit({ budget: 4000, onWrite: (size) => { shed.push(size.shed) } })
  const claims = { groups: noise(1500, 'groups') }
  const parts = (access: number, id: number): Session =>
    withToken(access, { idToken: noise(id, 'id'), claims, refreshToken: noise(400, 'refresh') })
  const kept = async (session: Session): Promise<Session | null> =>
    kit.store.read(await headerOf(kit, session)).session?.whole() ?? null
  t.strictSame(await kept(parts(500, 500)), parts(500, 500))
  const { idToken, ...withoutIdToken } = parts(500, 3000)
  t.strictSame(await kept(parts(500, 3000)), withoutIdToken)
  t.strictSame((await kept(parts(2500, 3000)))?.claims, {})
  t.strictSame(shed, [[], ['id_token'], ['id_token', 'claims']])
  const error = await kit.store.write(parts(6000, 3000), null).catch((error: unknown) => error) as Error
  t.match(error, { code: 'session_too_large' })
  const { message } = error.cause as Error
  t.match(message, /of 4000 .*access token 6000, refresh token 400, ID token 3000, claims 15\d\d$/)
  t.ok(message.length <= 200)
  const far = await kit.store.write(withToken(90_000), null).catch((error: unknown) => error) as Error
  t.match((far.cause as Error).message, /too much for any cookie/)
  const inflated = sampleSession({ accessToken: 'a '.repeat(40_000) })
  t.match(await kit.store.write(inflated, null).catch((error: unknown) => error), { code: 'session_too_large' })
})

t.test('what is remembered serves only the same text, time and ring, and stays within its bytes', async (t) => {
  const keys = [namedKey('a'), namedKey('b')]
  const none = sealingKit({ memoBytes: 0, shelfBytes: 0, keys })
  for (const sizes of [{ memoBytes: 20_000, shelfBytes: 0 }, { memoBytes: 0 }, { memoBytes: 20_000 }]) {
    const kit = sealingKit({ ...sizes, keys })
    const sessions = Array.from({ length: 50 }, (_, index) => sampleSession({ subject: `user ${index}`, refreshToken: 'r' }))
    const headers = await Promise.all(sessions.map(async (session) => await headerOf(kit, session)))
    for (let round = 0; round < 3; round++) {
      for (const [index, header] of headers.entries()) {
        const { session } = kit.store.read(header)
        t.equal(session?.subject, `user ${index}`)
        t.strictSame(session?.whole(), sessions[index])
        t.equal(none.store.read(header).session?.subject, `user ${index}`)
      }
    }
    const [last = ''] = headers.slice(-1)
    // In a row: what else comes between may take the place of its mark.
    for (let time = 0; time < 2; time++) kit.store.read(last)
    const [one, other] = [kit.store.read(last).session, kit.store.read(last).session]
    t.equal(one === other, sizes.memoBytes > 0, 'the memo gives the same object')
    const sameTag = last.replace(/(\.\.)(.)/, (_, dots: string, first: string) => dots + (first === '_' ? 'A' : '_'))
    t.not(sameTag, last)
    t.equal(kit.store.read(sameTag).session, null, 'the tag alone is not believed')
    kit.time = NOW + 300
    const [late, later] = [kit.store.read(last).session, kit.store.read(last).session]
    t.ok(late)
    t.not(late, later, 'no longer than the access token')
    kit.time = NOW
    kit.store.read(last)
    kit.ring = sealingKit({ keys: [namedKey('c')] }).ring
    t.equal(kit.store.read(last).session, null, 'a retired key opens nothing')
  }
})
