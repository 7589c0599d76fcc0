// What a session becomes as bytes: all of it comes back, it takes little, and nothing else passes for one.
import { deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { auth0, cognito, entra, keycloak, minimal } from '../../bench/token-sets.ts'
import {
  decodeHead, decodeRefreshPart, decodeSession, encodeRefreshPart, encodeSession
} from '../../src/session/codec.ts'
import { DICTIONARY } from '../../src/session/dictionary.ts'
import type { Session } from '../../src/session/session.ts'
import { noise, NOW, sampleSession } from '../support/sealing.ts'

/** Any string: also half surrogate pairs, which have no UTF-8. */
const anyString = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.array(fc.nat(0xffff), { maxLength: 30 }).map((units) => String.fromCharCode(...units))
)
const base64urlPart = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('base64url'))
const jsonPart = fc.json({ maxDepth: 2 }).map((json) => Buffer.from(json).toString('base64url'))
const likeAToken = fc.array(fc.oneof(base64urlPart, jsonPart, anyString, fc.constant('')), { maxLength: 20 })
  .map((parts) => parts.join('.'))
const anyToken = fc.oneof(anyString, likeAToken)
const time = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 }), fc.integer({ min: 0, max: 2 ** 48 }))
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined })
const binarySid = fc.uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('base64url'))

const anySession = fc.record({
  sid: fc.oneof(binarySid, anyString),
  generation: fc.integer({ min: 0, max: 2 ** 40 }),
  subject: anyString,
  providerSid: optional(anyString),
  accessToken: anyToken,
  accessTokenIssuedAt: time,
  accessTokenExpiresAt: time,
  refreshToken: optional(anyToken),
  refreshTokenExpiresAt: optional(time),
  idToken: optional(anyToken),
  scope: optional(anyString),
  claims: fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }).filter((name) => name !== '__proto__'),
    fc.json({ maxDepth: 2 }).map((json) => JSON.parse(json) as unknown), { maxKeys: 4 }),
  createdAt: time,
  expiresAt: time,
  authTime: optional(time)
}).map((record): Session => {
  const present = Object.entries(record).filter(([, value]) => value !== undefined)
  return Object.fromEntries(present) as unknown as Session
})

t.test('any session comes back as it was, byte for byte', async () => {
  fc.assert(fc.property(anySession, (session) => {
    const back = decodeSession(encodeSession(session))
    t.strictSame(JSON.parse(JSON.stringify(back)), JSON.parse(JSON.stringify(session)))
    return back?.accessToken === session.accessToken && back.refreshToken === session.refreshToken &&
      back.idToken === session.idToken && back.sid === session.sid && back.subject === session.subject
  }), { numRuns: 500, seed: 3 })
})

t.test('what every request needs is decoded alone as it is with the rest', async () => {
  fc.assert(fc.property(anySession, (session) => {
    const head = decodeHead(encodeSession(session))
    const { sid, generation, accessTokenIssuedAt, accessTokenExpiresAt, createdAt, expiresAt } = session
    t.match(head, {
      sid,
      generation,
      accessTokenIssuedAt,
      accessTokenExpiresAt,
      createdAt,
      expiresAt,
      hasRefreshToken: session.refreshToken !== undefined,
      refreshTokenExpiresAt: session.refreshTokenExpiresAt
    })
    return head?.accessToken === session.accessToken
  }), { numRuns: 300, seed: 3 })
})

t.test('any refresh token of its own comes back as it was', async () => {
  const anyEnd = optional(time)
  fc.assert(fc.property(anyToken, anyString, fc.nat(), anyEnd, (refreshToken, sid, generation, end) => {
    const expiry = end === undefined ? {} : { refreshTokenExpiresAt: end }
    const part = { sid, generation, refreshToken, ...expiry }
    const back = decodeRefreshPart(encodeRefreshPart(part))
    t.strictSame(back, part)
    return back?.refreshToken === refreshToken && back.sid === sid
  }), { numRuns: 300, seed: 3 })
})

t.test('a field that this release does not know comes back too', async (t) => {
  const session = { ...sampleSession(), amr: ['pwd'], loa: 3 }
  t.strictSame(decodeSession(encodeSession(session)), session)
})

t.test('times become whole seconds; what is no time is long past', async (t) => {
  const times = { accessTokenExpiresAt: NOW + 0.9, expiresAt: Number.NaN, createdAt: Infinity }
  const session = sampleSession(times)
  const back = decodeSession(encodeSession(session))
  t.equal(back?.accessTokenExpiresAt, NOW)
  t.equal(back?.expiresAt, 0)
  t.equal(back?.createdAt, 2 ** 48)
})

t.test('SEA-12, FIX-04 tokens take about half of what they are as text', async (t) => {
  for (const [set, limit] of [
    [keycloak(), 1240], [auth0(), 980], [entra(), 3040], [cognito(), 2120], [minimal(), 340]
  ] as const) {
    const { name, ...tokens } = set
    t.ok(encodeSession(sampleSession(tokens)).length <= limit, name)
  }
})

t.test('another major version, nothing, and any cut are no session', async (t) => {
  const bytes = encodeSession(sampleSession({ refreshToken: noise(200), idToken: keycloak().idToken }))
  t.not(decodeSession(bytes), null)
  for (const major of [0, 2, 255]) {
    t.equal(decodeSession(Buffer.concat([Buffer.of(major), bytes.subarray(1)])), null)
  }
  for (let length = 0; length < bytes.length; length++) {
    t.equal(decodeSession(bytes.subarray(0, length)), null)
  }
  t.equal(decodeRefreshPart(Buffer.of(9)), null)
})

t.test('a newer minor version and bytes at the end are read', async (t) => {
  const session = sampleSession({ refreshToken: noise(99) })
  const bytes = Buffer.from(encodeSession(session))
  bytes[1] = 7
  t.strictSame(decodeSession(Buffer.concat([bytes, Buffer.alloc(9, 1)])), session)
})

t.test('bytes that are no session never throw', async () => {
  const bytes = encodeSession(sampleSession({ claims: { name: 'Jane' }, idToken: keycloak().idToken }))
  fc.assert(fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
    const damaged = Buffer.from(bytes)
    damaged[at] = (damaged[at] ?? 0) ^ change
    decodeSession(damaged)
    decodeRefreshPart(damaged)
  }), { numRuns: 2000, seed: 3 })
})

t.test('S36 inflating stops at 64 KiB, and at what the length says', async (t) => {
  const deflated = deflateRawSync(Buffer.alloc(10_000_000), { dictionary: Buffer.from(DICTIONARY, 'latin1') })
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]
  for (const said of [10, 65_536, 10_000_000]) {
    const bomb = Buffer.concat([Buffer.of(1, 0, 0, ...varint(said), ...varint(deflated.length)), deflated])
    t.equal(decodeSession(bomb), null)
  }
  t.throws(() => encodeSession(sampleSession({ claims: { text: 'a'.repeat(70_000) } })), RangeError)
})
