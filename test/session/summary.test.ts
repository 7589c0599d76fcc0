// What calls need of a session, as bytes and back: nothing changes on the way.
import t from 'tap'
import fc from 'fast-check'
import { decodeSummary, encodeSummary } from '../../src/session/summary.ts'
import type { SessionSummary } from '../../src/session/session.ts'
import { keycloak } from '../../bench/token-sets.ts'
import { NOW } from '../support/sealing.ts'

const usual: SessionSummary = {
  sid: 'AAECAwQFBgcICQoLDA0ODw',
  generation: 3,
  accessToken: keycloak().accessToken,
  accessTokenExpiresAt: NOW + 300,
  accessTokenIssuedAt: NOW,
  createdAt: NOW - 100,
  expiresAt: NOW + 43_200,
  hasRefreshToken: true,
  refreshTokenExpiresAt: NOW + 1800,
  subject: 'jane',
  providerSid: 'at-the-provider'
}

t.test('a summary comes back as it was, its token in three quarters of its length', async (t) => {
  const bytes = encodeSummary(usual)
  t.strictSame(decodeSummary(bytes), usual)
  t.ok(bytes.length < usual.accessToken.length * 0.75 + 150)
  const { providerSid, refreshTokenExpiresAt, ...least } = usual
  const nothing = { hasRefreshToken: false, providerSid: undefined, refreshTokenExpiresAt: undefined }
  const without = { ...least, ...nothing }
  t.strictSame(decodeSummary(encodeSummary(without)), without)
})

const TOKENS = [
  '', '.', '..', '...', 'a.b.c', 'YQ.YQ.YQ', 'YR.YQ.YQ', 'YQ==.YQ.YQ', 'Y+.YQ.YQ', 'YQ.YQ', 'é.YQ.YQ', 'YQ.YQ.\ud800', '令牌'
]

t.test('tokens of three parts that are not canonical base64url stay as they are', async (t) => {
  for (const accessToken of TOKENS) {
    t.equal(decodeSummary(encodeSummary({ ...usual, accessToken })).accessToken, accessToken)
  }
})

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.base64String())
const base64url = fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64url'))
const parts = fc.array(fc.oneof(text, base64url), { minLength: 1, maxLength: 4 })
const time = fc.integer({ min: 0, max: 2 ** 48 })
const summaries = fc.record({
  sid: text,
  generation: time,
  accessToken: fc.oneof(text, parts.map((all) => all.join('.'))),
  accessTokenExpiresAt: time,
  accessTokenIssuedAt: time,
  createdAt: time,
  expiresAt: time,
  hasRefreshToken: fc.boolean(),
  refreshTokenExpiresAt: fc.option(time, { nil: undefined }),
  subject: text,
  providerSid: fc.option(text, { nil: undefined })
})

t.test('names stay apart where they touch', async (t) => {
  for (const [sid, subject, providerSid] of [
    ['\ud83d', '\ude00', '\ud83d'], ['', '', ''], ['', '', undefined], ['a', '', 'b'], ['', 'é', ''], ['\0', '\x7f', '\x80']
  ] as const) {
    const { sid: s, subject: u, providerSid: p } = decodeSummary(encodeSummary({ ...usual, sid: sid ?? '', subject: subject ?? '', providerSid }))
    t.strictSame([s, u, p], [sid, subject, providerSid])
  }
})

t.test('any text and any number comes back', async () => {
  fc.assert(fc.property(summaries, (summary) => {
    const back = decodeSummary(encodeSummary(summary))
    for (const key of Object.keys(summary) as Array<keyof SessionSummary>) {
      if (back[key] !== summary[key]) throw new Error(`${key}: ${JSON.stringify(back[key])}`)
    }
  }), { numRuns: 2000 })
})
