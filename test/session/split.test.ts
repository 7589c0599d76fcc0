// The split layout: the refresh token in cookies of its own, which travel to the base path only.
import t from 'tap'
import type { Session } from '../../src/session/session.ts'
import { headerOf, jarFor, noise, NOW, sampleSession, sealingKit, take } from '../support/sealing.ts'

const withToken = (length: number, part: Partial<Session> = {}): Session =>
  sampleSession({ accessToken: noise(length, `${length}`), ...part })
const pairs = (header: string): string[] => header.split('; ')
const names = (header: string): string[] => pairs(header).map((pair) => pair.slice(0, pair.indexOf('=')))
const count = (header: string): number => names(header).length

t.test('split: the refresh token travels to the base path only, and comes back there', async (t) => {
  const kit = sealingKit({ layout: 'split' })
  const session = withToken(100, { refreshToken: noise(4500, 'r'), refreshTokenExpiresAt: NOW + 9999 })
  const jar = jarFor(kit)
  const written = await kit.store.write(session, null)
  take(jar, kit, written)
  const refreshLine = written.find((line) => line.startsWith('__Secure-bulla-refresh.0='))
  t.match(refreshLine, /; Path=\/bff; HttpOnly; Secure; SameSite=Strict$/)
  const api = jar.header(new URL('/api/orders', kit.url))
  const bff = jar.header(new URL('/bff/refresh', kit.url))
  t.strictSame(names(api ?? ''), ['__Host-Http-bulla.0'])
  t.equal(count(bff ?? ''), 3)
  const { refreshToken, refreshTokenExpiresAt, ...rest } = session
  t.strictSame(kit.store.read(api).session?.whole(), rest)
  t.strictSame(kit.store.read(bff).session?.whole(), session)
  t.strictSame(kit.store.read(api).session?.whole(), rest, 'what is remembered stays without it')
})

t.test('split: a refresh token of another session or generation, or a broken one, is not taken', async (t) => {
  const kit = sealingKit({ layout: 'split' })
  const session = withToken(100, { refreshToken: 'r0' })
  const refresh = async (part: Partial<Session>): Promise<string> =>
    pairs(await headerOf(kit, { ...session, ...part }, '/bff')).find((pair) => pair.startsWith('__Secure')) ?? ''
  const header = await headerOf(kit, session)
  t.equal(kit.store.read(`${header}; ${await refresh({})}`).session?.whole().refreshToken, 'r0')
  for (const other of [await refresh({ generation: 1 }), await refresh({ sid: 'B'.repeat(21) + 'A' }),
    (await refresh({})).slice(0, -1), '__Secure-bulla-refresh.0=']) {
    const read = kit.store.read(`${header}; ${other}`).session
    t.equal(read?.sid, session.sid)
    t.equal(read?.whole().refreshToken, undefined)
  }
})

t.test('split: growing, shrinking and ending leave nothing behind, though API calls do not show it', async (t) => {
  const kit = sealingKit({ layout: 'split', budget: 14_000 })
  const jar = jarFor(kit)
  for (const [generation, length] of [4500, 100, 4500, 100].entries()) {
    const own = kit.cookies.read(jar.header(new URL('/bff/refresh', kit.url)))
    take(jar, kit, await kit.store.write(withToken(100, { generation, refreshToken: noise(length) }), own))
    t.equal(jar.cookies.length, length > 4000 ? 3 : 2)
  }
  const own = kit.cookies.read(jar.header(kit.url))
  take(jar, kit, await kit.store.write(withToken(100), own))
  t.strictSame(jar.cookies.map(({ name }) => name), ['__Host-Http-bulla.0'], 'a session without refresh token')
})

t.test('a change of the layout loses no session: the next write moves the refresh token', async (t) => {
  const single = sealingKit()
  const split = sealingKit({ layout: 'split' })
  const session = withToken(100, { refreshToken: 'r0' })
  const before = await headerOf(single, session)
  t.strictSame(split.store.read(before).session?.whole(), session)
  t.strictSame(single.store.read(await headerOf(split, session, '/bff')).session?.whole(), session)
})
