// Base64url as the sealed values are read: one form for each run of bytes, by either reader.
import fc from 'fast-check'
import t from 'tap'
import { BASE64URL, readBase64url, readShortBase64url } from '../../src/session/base64url.ts'

const encoded = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('base64url'))
const hostile = fc.string({ unit: fc.constantFrom(...BASE64URL, '+', '/', '=', '.', ' ', '\0', 'é', 'ŁA', '\ud800') })
/** As long as sealed values are, where Node decodes in another way, with one thing put in. */
const long = fc.tuple(encoded(1500), hostile, fc.nat(2000), fc.nat(3))
  .map(([text, more, at, without]) => text.slice(0, at) + more + text.slice(at + without))
const text = fc.oneof(encoded(40), hostile, long)

/** What the text is the base64url of, if it is the only form of it. */
function bytesOf (text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : null
}

t.test('SEA-01 both readers take what encodes back to the same text, and nothing else', async () => {
  fc.assert(fc.property(text, fc.nat(5), (text, front) => {
    const expected = bytesOf(text)
    const into = Buffer.alloc(Math.floor(text.length * 3 / 4), 1)
    if (readBase64url(text, into) !== (expected !== null)) return false
    if (expected !== null && !into.equals(expected)) return false
    const short = Buffer.alloc(into.length, 1)
    const isRead = readShortBase64url('.'.repeat(front) + text, front, short)
    // It reads as much as is wanted: a character too many is the caller's to see.
    if (text.length % 4 === 1) return true
    return isRead === (expected !== null) && (expected === null || short.equals(expected))
  }), { numRuns: 20_000, seed: 11 })
})

t.test('another length than what should come out is refused, and so is a text that ends too early', async (t) => {
  for (const wanted of [0, 1, 2, 4, 5]) t.equal(readBase64url('AAAA', Buffer.alloc(wanted)), false)
  t.equal(readBase64url('AAAA', Buffer.alloc(3)), true)
  t.equal(readShortBase64url('AAA', 0, Buffer.alloc(3)), false)
  t.equal(readShortBase64url('AAAA', 1, Buffer.alloc(3)), false)
  t.equal(readShortBase64url('', 0, Buffer.alloc(0)), true)
})
