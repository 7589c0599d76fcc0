// Sealed values: jose and the reader agree in both directions, and nothing else opens.
import fc from 'fast-check'
import { compactDecrypt, CompactEncrypt } from 'jose'
import t from 'tap'
import { createKeyring, PURPOSES, type Purpose } from '../../src/session/keyring.ts'
import { createSealer } from '../../src/session/seal.ts'
import { BINDING, namedKey } from '../support/sealing.ts'

const ring = createKeyring([namedKey('a'), namedKey('b')], BINDING)
const sealer = createSealer(() => ring)
const anyPurpose = fc.constantFrom<Purpose>(...PURPOSES)

t.test('SEA-01 jose opens what was sealed, the reader opens what jose seals, with any content', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), anyPurpose, async (bytes, purpose) => {
    const text = await sealer.seal(purpose, bytes)
    const { plaintext, protectedHeader } = await compactDecrypt(text, ring.sealing(purpose).key, {
      keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM']
    })
    const { key, header } = ring.sealing(purpose)
    const byJose = await new CompactEncrypt(bytes).setProtectedHeader(header).encrypt(key)
    return Buffer.from(plaintext).equals(bytes) && protectedHeader.typ === `bulla-${purpose}+1` &&
      [text, byJose].every((sealed) => sealer.open(purpose, sealed)?.equals(bytes) === true) &&
      text.length === sealer.sealedLength(purpose, bytes.length)
  }), { numRuns: 60, seed: 3 })
})

t.test('SEA-01 no change of one character opens, and none throws', async (t) => {
  const text = await sealer.seal('session', Buffer.from('content of a session'))
  // Up to U+017F: the low bytes of the last 128 are those of letters and digits.
  const characters = ['', ...Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code))]
  for (let at = 0; at < text.length; at++) {
    for (const character of characters) {
      const changed = text.slice(0, at) + character + text.slice(at + 1)
      if (changed !== text && sealer.open('session', changed) !== null) t.fail(`opened with ${JSON.stringify(character)} at ${at}`)
    }
  }
  t.equal(sealer.open('session', text)?.toString(), 'content of a session')
})

t.test('SEA-01 text that was cut, extended, repeated or never sealed does not open', async (t) => {
  const text = await sealer.seal('session', Buffer.from('content'))
  for (let length = 0; length < text.length; length++) t.equal(sealer.open('session', text.slice(0, length)), null)
  for (const other of [`${text}A`, `${text}=`, `${text}.`, `A${text}`, text + text, '....', 'a.b.c.d.e', '\u0000']) {
    t.equal(sealer.open('session', other), null)
  }
})

t.test('SEA-02 S36 every other header is refused, however good its key', async (t) => {
  const { key, header } = ring.sealing('session')
  const others = [
    { ...header, zip: 'DEF' },
    { ...header, crit: ['exp'], exp: 1 },
    { ...header, extra: true },
    { alg: 'dir', enc: 'A256GCM' },
    { typ: header.typ, kid: header.kid, enc: 'A256GCM', alg: 'dir' }
  ]
  for (const other of others) {
    const encryption = new CompactEncrypt(Buffer.from('content'))
    const text = await encryption.setProtectedHeader(other as typeof header)
      .encrypt(key, { crit: { exp: true } }).catch(() => null)
    if (text !== null) t.equal(sealer.open('session', text), null, JSON.stringify(other))
  }
  const slow = { alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', p2c: 10_000_000, p2s: 'AAAAAAAAAAA', kid: header.kid }
  const encoded = Buffer.from(JSON.stringify(slow)).toString('base64url')
  t.equal(sealer.open('session', `${encoded}.AAAA.${'A'.repeat(16)}.AAAA.${'A'.repeat(22)}`), null)
})

t.test('SEA-03 S25 no value opens for another purpose, not even under that purpose\'s header', async (t) => {
  for (const from of PURPOSES) {
    const text = await sealer.seal(from, Buffer.from('content'))
    for (const to of PURPOSES) {
      if (from === to) continue
      t.equal(sealer.open(to, text), null)
      const relabelled = ring.sealing(to).encodedHeader + text.slice(text.indexOf('.'))
      t.equal(sealer.open(to, relabelled), null)
    }
  }
})

t.test('SEA-04 S26 S27 S28 no value opens for another origin, issuer or client with the same keys', async (t) => {
  const text = await sealer.seal('session', Buffer.from('content'))
  const others = [
    { ...BINDING, origin: 'https://other.example' },
    { ...BINDING, issuer: 'https://login.example/' },
    { ...BINDING, clientId: 'app2' },
    { origin: 'https://app.example","https://login.example', issuer: 'app', clientId: '' }
  ]
  for (const binding of others) {
    const other = createKeyring([namedKey('a'), namedKey('b')], binding)
    t.equal(createSealer(() => other).open('session', text), null)
  }
})

t.test('S35 two seals of one content differ in nonce, text and tag', async (t) => {
  const texts = await Promise.all(Array.from({ length: 50 }, async () => await sealer.seal('session', Buffer.from('same'))))
  for (const part of [2, 3, 4]) t.equal(new Set(texts.map((text) => text.split('.')[part])).size, 50)
})

t.test('SEA-07/08 S35 a key that sealed very often is reported, also across a reload', async (t) => {
  const told: unknown[] = []
  let current = createKeyring([namedKey('a')], BINDING)
  const onManySeals = (...what: unknown[]): void => { told.push(what) }
  const counting = createSealer(() => current, { manySeals: 3, onManySeals })
  for (let seal = 0; seal < 2; seal++) await counting.seal('session', Buffer.of(1))
  await counting.seal('login', Buffer.of(1))
  current = createKeyring([namedKey('a'), namedKey('b')], BINDING)
  for (let seal = 0; seal < 4; seal++) await counting.seal('session', Buffer.of(1))
  t.strictSame(told, [[current.kids[0], 'session', 3], [current.kids[0], 'session', 6]])
})
