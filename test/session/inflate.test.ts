// The inflater of sessions against node:zlib: the same bytes out of whatever it deflates, and an error, or
// the very same text, for everything else.
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { auth0, cognito, entra, keycloak, minimal } from '../../bench/token-sets.ts'
import { DICTIONARY } from '../../src/session/dictionary.ts'
import { Inflater } from '../../src/session/inflate.ts'

const dictionary = Buffer.from(DICTIONARY, 'latin1')
const MAX = 4096
const inflater = new Inflater(dictionary, MAX)

/** The bytes, or `null` for what is refused. */
function ours (deflated: Uint8Array, length: number): Buffer | null {
  try {
    return Buffer.from(inflater.inflate(deflated, length))
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

function theirs (deflated: Uint8Array, length: number): Buffer | null {
  try {
    const text = inflateRawSync(deflated, { dictionary, maxOutputLength: MAX })
    return text.length === length ? text : null
  } catch {
    return null
  }
}

const anyWord = fc.constantFrom('"sub":"', '"aud":"account"', 'https://', '{"exp":179', 'a', '\u00e9', ' ')
const anyText = fc.oneof(
  fc.uint8Array({ maxLength: MAX }),
  fc.array(anyWord, { maxLength: 400 }).map((words) => Buffer.from(words.join('')).subarray(0, MAX)),
  fc.tuple(fc.nat(255), fc.nat(MAX)).map(([byte, length]) => Buffer.alloc(length, byte))
)
const anyOptions = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  memLevel: fc.integer({ min: 1, max: 9 }),
  strategy: fc.constantFrom(
    constants.Z_DEFAULT_STRATEGY, constants.Z_FILTERED, constants.Z_HUFFMAN_ONLY, constants.Z_RLE,
    constants.Z_FIXED
  )
})

t.test('whatever node:zlib deflates comes back: every level, strategy and kind of block', async (t) => {
  fc.assert(fc.property(anyText, anyOptions, (text, options) => {
    const deflated = deflateRawSync(text, { ...options, dictionary })
    t.ok(ours(deflated, text.length)?.equals(text) ?? false)
  }), { numRuns: 500 })
})

t.test('a beginning is what the whole begins with, however much is asked for', async (t) => {
  fc.assert(fc.property(anyText, anyOptions, fc.nat(), (text, options, some) => {
    const deflated = deflateRawSync(text, { ...options, dictionary })
    const needed = some % (text.length + 1)
    const found = Buffer.from(inflater.inflate(deflated, text.length, needed))
    t.ok(found.length >= needed && found.length <= text.length)
    t.ok(found.equals(text.subarray(0, found.length)))
  }), { numRuns: 500 })
  const text = Buffer.from('"sub":"nanni","aud":"account"'.repeat(20))
  const deflated = deflateRawSync(text, { level: 9, dictionary })
  t.throws(() => inflater.inflate(deflated, MAX, text.length + 1), RangeError, 'there is not so much')
  t.throws(() => inflater.inflate(deflated.subarray(0, 4), text.length, text.length - 1), RangeError, 'cut')
})

t.test('the texts of common token sets come back, one after the other in the same memory', async (t) => {
  for (let round = 0; round < 2; round++) {
    for (const { name, accessToken } of [keycloak(), entra(), auth0(), cognito(), minimal()]) {
      const text = Buffer.from(accessToken.split('.').slice(0, 2).join('.')).subarray(0, MAX)
      const deflated = deflateRawSync(text, { level: 9, dictionary })
      t.ok(ours(deflated, text.length)?.equals(text), name)
      const longer = Buffer.concat([deflated, Buffer.alloc(20, 0xff)])
      t.ok(ours(longer, text.length)?.equals(text), 'what follows is ignored')
    }
  }
})

t.test('a changed byte gives what node:zlib gives: an error, or the same text', async (t) => {
  let refused = 0
  fc.assert(fc.property(anyText, anyOptions, fc.nat(), fc.nat(255), (text, options, at, byte) => {
    const deflated = deflateRawSync(text, { ...options, dictionary })
    deflated[at % deflated.length] = byte
    const expected = theirs(deflated, text.length)
    const found = ours(deflated, text.length)
    if (expected === null) refused += 1
    t.equal(found === null, expected === null)
    if (expected !== null) t.ok(found?.equals(expected))
  }), { numRuns: 2000 })
  t.ok(refused > 100)
})

t.test('bytes at random give what node:zlib gives', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(300), (bytes, length) => {
    const expected = theirs(bytes, length)
    const found = ours(bytes, length)
    t.equal(found === null, expected === null)
    if (expected !== null) t.ok(found?.equals(expected))
  }), { numRuns: 5000 })
})

t.test('no text is longer or shorter than it says, ends early, or is too large', async (t) => {
  const text = Buffer.from('"sub":"nanni","aud":"account"'.repeat(20))
  const deflated = deflateRawSync(text, { level: 9, dictionary })
  const { length } = text
  for (const other of [0, 1, length - 1, length + 1, MAX + 1]) t.equal(ours(deflated, other), null)
  for (let end = 0; end < deflated.length; end++) t.equal(ours(deflated.subarray(0, end), text.length), null)
  t.equal(ours(Buffer.alloc(2 * MAX), 1), null)
  const stored = deflateRawSync(text, { level: 0 })
  for (let end = 0; end < stored.length; end++) t.equal(ours(stored.subarray(0, end), text.length), null)
})
