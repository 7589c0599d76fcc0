// The small shared pieces: errors, units, what a log may show, single flight.
import t from 'tap'
import { systemClock, unixSeconds } from '../../src/lib/clock.ts'
import { BullaError, ERRORS, problemHeaders, toProblem, type ErrorCode } from '../../src/lib/errors.ts'
import { isLoopback } from '../../src/lib/loopback.ts'
import { describeError, pathOnly, printable } from '../../src/lib/redact.ts'
import { parseDuration, parseSize } from '../../src/lib/units.ts'

t.test('CBE-17 every error is a problem document with its code in a header', async (t) => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const error = new BullaError(code)
    t.match(toProblem(error, 'r1'), { type: `urn:bulla:${code}`, status: ERRORS[code].status, code, request_id: 'r1' })
    t.match(problemHeaders(error), { 'bulla-error': code, 'cache-control': 'no-store' })
  }
})

t.test('an error says what it was told and keeps its cause to itself', async (t) => {
  const cause = new Error('connect ECONNREFUSED 10.0.0.7:443')
  const error = new BullaError('idp_unavailable', {
    cause, detail: 'Try again.', retryAfter: 5, loginUrl: '/bff/login', headers: { allow: 'GET' }, setCookies: ['a=b']
  }).withCookies(['c=d'])
  t.strictSame(toProblem(error), {
    type: 'urn:bulla:idp_unavailable',
    title: 'The identity provider is not available',
    status: 503,
    code: 'idp_unavailable',
    detail: 'Try again.',
    login_url: '/bff/login'
  })
  t.match(problemHeaders(error), { 'retry-after': '5', allow: 'GET' })
  t.equal(error.cause, cause)
  t.strictSame(error.setCookies, ['a=b', 'c=d'])
  t.strictSame(new BullaError('internal').withCookies([]).headers, undefined)
})

t.test('durations and sizes', async (t) => {
  t.strictSame(['90s', '15m', '12h', '7d', '42', 'off', '1w', '', '-1', '1.5h'].map(parseDuration),
    [90, 900, 43_200, 604_800, 42, 0, undefined, undefined, undefined, undefined])
  t.strictSame(['4096', '10mb', '1KB', '2gb', '7b', 'big', ''].map(parseSize),
    [4096, 10_485_760, 1024, 2_147_483_648, 7, undefined, undefined])
})

t.test('PRX-33 the log shows no query and no control character', async (t) => {
  t.equal(pathOnly('/bff/callback?code=secret&state=s'), '/bff/callback')
  t.equal(pathOnly('/a#b'), '/a')
  t.equal(pathOnly('/a'), '/a')
  t.equal(printable('a\r\nb\u2028c\u001b[0m'), 'a  b c [0m')
  t.equal(printable('x'.repeat(300)).length, 201)
})

t.test('an error is described with its causes, to a depth', async (t) => {
  const inner = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
  t.equal(describeError(new TypeError('fetch failed', { cause: inner })), 'TypeError: fetch failed <- Error (ECONNREFUSED): refused')
  t.equal(describeError('plain'), 'plain')
  const body = 'SECRET-TOKEN is no JSON'
  t.throws(() => JSON.parse(body), /SECRET/, 'V8 quotes what it cannot parse')
  try { JSON.parse(body) } catch (error) { t.notMatch(describeError(new Error('answer', { cause: error })), /SECRET/) }
  const loop = new Error('loop')
  loop.cause = loop
  t.equal(describeError(loop).split('<-').length, 4)
})

t.test('loopback hosts', async (t) => {
  for (const host of ['localhost', 'app.localhost', '127.0.0.1', '127.9.9.9', '[::1]']) t.ok(isLoopback(host), host)
  for (const host of ['localhost.example', '128.0.0.1', '127.evil.example', '[::2]']) t.notOk(isLoopback(host), host)
})

t.test('the clock counts whole seconds', async (t) => {
  t.equal(unixSeconds(() => 1_999), 1)
  t.ok(Math.abs(systemClock() - Date.now()) < 1_000)
})
