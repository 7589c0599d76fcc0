// The key ring: what it derives, how it rolls over replicas, and how its file is watched.
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { keyFault, parseKeys, ringFaults } from '../../src/lib/ring-key.ts'
import { createKeyringSource, type KeyringSource } from '../../src/session/keyring-source.ts'
import { createKeyring, kidOf, PURPOSES } from '../../src/session/keyring.ts'
import { ringKey, type Teardown } from '../support/build.ts'
import { BINDING, headerOf, jarFor, namedKey, sampleSession, sealingKit, take } from '../support/sealing.ts'

const [a, b, c] = [namedKey('a'), namedKey('b'), namedKey('c')]

t.test('SEA-07/08 keys that are weak, short, long, text, placeholders or twice are refused', async (t) => {
  const encoded = (bytes: Buffer): string => bytes.toString('base64url')
  const refused: Array<[string, RegExp]> = [
    ['', /0 bytes/], ['change-me', /base64url|bytes/], [encoded(Buffer.alloc(16, 'x')), /16 bytes/], [encoded(Buffer.alloc(33)), /33 bytes/],
    [encoded(Buffer.alloc(32)), /fewer than 16/], [encoded(Buffer.from('0123456789abcdef0123456789abcdef')), /is text/],
    [encoded(Buffer.from(Array.from({ length: 32 }, (_, index) => index))), /row/], [`${a.slice(0, -1)}!`, /base64url/]
  ]
  for (const [key, reason] of refused) t.match(keyFault(key), reason)
  t.equal(keyFault(`${a}=`), null)
  for (let key = 0; key < 200; key++) t.equal(keyFault(ringKey()), null)
  t.strictSame(ringFaults([a, b]), [])
  t.match(ringFaults([]), ['there is no key'])
  t.match(ringFaults([a, `${a}=`]), ['a key is listed twice'])
  t.match(ringFaults(Array.from({ length: 17 }, (_, index) => namedKey(`${index}`))), [/17 keys/])
  t.notMatch(ringFaults([a, 'secret-but-wrong']).join(), /secret/)
  t.strictSame(parseKeys(`# ring\n${a} # published\n\n${b},${c}\r\n`), [a, b, c])
})

t.test('SEA-03 SEA-04 each purpose and deployment has keys of its own, the id depends on the key only', async (t) => {
  const rings = [BINDING, { ...BINDING, origin: 'https://b.example' }].map((binding) => createKeyring([a, b], binding))
  const keys = rings.flatMap((ring) => PURPOSES.map((purpose) => ring.sealing(purpose).key.export().toString('hex')))
  t.equal(new Set(keys).size, keys.length)
  t.strictSame(rings[0]?.kids, rings[1]?.kids)
  t.strictSame(rings[0]?.kids, [kidOf(a), kidOf(b)])
  t.throws(() => createKeyring([], BINDING).sealing('session'), TypeError)
})

t.test('SEA-06 two replicas at different stages of a rotation: nobody is logged out', async (t) => {
  const stages = [[a], [a, b], [b, a], [b]]
  for (let stage = 0; stage + 1 < stages.length; stage++) {
    const [old, next] = [stages[stage], stages[stage + 1]].map((keys = []) => sealingKit({ keys }))
    if (old === undefined || next === undefined) throw new Error('no such stage')
    const session = sampleSession()
    t.not(old.store.read(await headerOf(next, session)).session, null, `sealed at ${stage + 1}, read at ${stage}`)
    // The last step comes when no session is left that the old key sealed.
    if (stage < 2) t.not(next.store.read(await headerOf(old, session)).session, null, `sealed at ${stage}, read at ${stage + 1}`)
  }
})

t.test('SEA-06 a session opened with an older key is sealed with the first key at its next write', async (t) => {
  const before = sealingKit({ keys: [a] })
  const after = sealingKit({ keys: [b, a] })
  const jar = jarFor(after)
  take(jar, after, await before.store.write(sampleSession(), null))
  const { session, own } = after.store.read(jar.header(after.url))
  if (session === null) throw new Error('the session does not open')
  take(jar, after, await after.store.write({ ...session.whole(), generation: 1 }, own))
  t.equal(sealingKit({ keys: [b] }).store.read(jar.header(after.url)).session?.generation, 1)
  t.equal(before.store.read(jar.header(after.url)).session, null)
})

t.test('SEA-06 an unknown key is no session, and the cookies stay', async (t) => {
  const header = await headerOf(sealingKit({ keys: [a] }), sampleSession())
  const state = sealingKit({ keys: [c] }).store.read(header)
  t.match(state, { session: null, error: 'login_required', isSpent: false })
})

interface Line { readonly level: string, readonly fields: Record<string, unknown> }

function watch (t: Teardown, file: string, keys: string[] = [a]): { source: KeyringSource, lines: Line[] } {
  const lines: Line[] = []
  const log = (level: string) => (fields: object) => { lines.push({ level, fields: { ...fields } }) }
  const source = createKeyringSource({
    keys, file, binding: BINDING, interval: 3_600_000, log: { info: log('info'), error: log('error') }
  })
  t.teardown(() => { source.close() })
  return { source, lines }
}

t.test('a changed keys file is in force once it was seen twice, a half-written one never', async (t) => {
  const file = join(t.testdir(), 'keys')
  writeFileSync(file, `${a}\n`)
  const { source, lines } = watch(t, file)
  await source.poll()
  await source.poll()
  const first = source.current()
  writeFileSync(file, `${b}\n`)
  await source.poll()
  t.equal(source.current(), first)
  writeFileSync(file, `${b}\n${a}\n`)
  await source.poll()
  t.equal(source.current(), first)
  await source.poll()
  t.strictSame(source.current().kids, [kidOf(b), kidOf(a)])
  t.strictSame(lines, [{ level: 'info', fields: { keys: [kidOf(b), kidOf(a)] } }])
})

t.test('links that are swapped, as Kubernetes does, are followed', async (t) => {
  const folder = t.testdir()
  for (const [name, keys] of [['v1', a], ['v2', `${b},${a}`]] as const) {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'keys'), keys)
  }
  symlinkSync('v1', join(folder, '..data'))
  symlinkSync(join('..data', 'keys'), join(folder, 'keys'))
  const { source } = watch(t, join(folder, 'keys'))
  await source.poll()
  symlinkSync('v2', join(folder, '..next'))
  renameSync(join(folder, '..next'), join(folder, '..data'))
  await source.poll()
  await source.poll()
  t.strictSame(source.current().kids, [kidOf(b), kidOf(a)])
})

t.test('a broken or missing keys file leaves the last good ring, and is reported without its content', async (t) => {
  const file = join(t.testdir(), 'keys')
  const { source, lines } = watch(t, file)
  const first = source.current()
  const secret = Buffer.alloc(32, 'hunter2').toString('base64url')
  for (const content of [null, '', 'hunter2', `${b},${b}`, secret, null]) {
    if (content === null) rmSync(file, { force: true })
    else writeFileSync(file, content)
    for (let look = 0; look < 3; look++) await source.poll()
    t.equal(source.current(), first)
  }
  t.equal(lines.length, 6)
  t.ok(lines.every(({ level }) => level === 'error'))
  t.notMatch(JSON.stringify(lines), new RegExp(`hunter2|${secret}|${b}`))
  for (let look = 0; look < 120; look++) await source.poll()
  t.equal(lines.length, 7, 'it shouts again as long as it stays so')
  writeFileSync(file, b)
  await source.poll()
  await source.poll()
  t.strictSame(source.current().kids, [kidOf(b)])
})

t.test('the file is looked at by itself, and no more once closed', async (t) => {
  const file = join(t.testdir(), 'keys')
  writeFileSync(file, b)
  // The source's own timer does not keep a process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => { clearInterval(alive) })
  const changed = await new Promise<KeyringSource>((resolve) => {
    const source = createKeyringSource({
      keys: [a],
      file,
      binding: BINDING,
      interval: 5,
      log: { info: () => { resolve(source) }, error: () => {} }
    })
  })
  changed.close()
  t.strictSame(changed.current().kids, [kidOf(b)])
  const fixed = createKeyringSource({ keys: [a], binding: BINDING, log: { info: () => {}, error: () => {} } })
  await fixed.poll()
  t.strictSame(fixed.current().kids, [kidOf(a)])
  fixed.close()
})
