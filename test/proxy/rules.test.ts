// The rules that are tables: caching, challenges, redirects, faults.
import t from 'tap'
import { BullaError } from '../../src/lib/errors.ts'
import { createRequestIds } from '../../src/lib/request-id.ts'
import { cacheControl, type CachePolicy } from '../../src/proxy/caching.ts'
import { readChallenge, stepUpUrl } from '../../src/proxy/challenge.ts'
import { isConnectionFault, upstreamFailure } from '../../src/proxy/failures.ts'
import { createLiveStreams } from '../../src/proxy/live.ts'
import { createRequestHeaders } from '../../src/proxy/request-headers.ts'
import { createResponseHeaders } from '../../src/proxy/response-headers.ts'

t.test('CAC-01 CAC-02 CAC-04 no shared cache keeps what came with a token', async (t) => {
  const cases: Array<[string | null, CachePolicy, string | null]> = [
    [null, 'no-store', 'no-store'], [null, 'private', null], [null, 'public', null], ['', 'no-store', 'no-store'],
    ['public', 'no-store', 'private'], ['public, max-age=60', 'no-store', 'private, max-age=60'], ['max-age=60', 'no-store', 'private, max-age=60'],
    ['s-maxage=60', 'no-store', 'private'], ['s-maxage=60, max-age=5, public', 'private', 'private, max-age=5'],
    ['private', 'no-store', 'private'], ['private, max-age=9', 'no-store', 'private, max-age=9'], ['no-cache', 'no-store', 'no-cache'],
    ['no-store', 'no-store', 'no-store'], ['NO-STORE', 'no-store', 'NO-STORE'], ['PUBLIC, Max-Age=5', 'private', 'private, Max-Age=5'],
    ['private="x-y, public"', 'no-store', 'private'], ['no-cache="set-cookie", max-age=5', 'no-store', 'private, no-cache="set-cookie", max-age=5'],
    ['public, private', 'no-store', 'private'], ['must-revalidate', 'no-store', 'private, must-revalidate'], ['no-cache, public', 'private', 'private, no-cache'],
    ['public, max-age=60', 'public', 'public, max-age=60'], ['immutable, public', 'private', 'private, immutable']
  ]
  for (const [upstream, policy, expected] of cases) t.equal(cacheControl(upstream, false, policy), expected, `${upstream} under ${policy}`)
  t.equal(cacheControl(null, true, 'private'), 'private', 'Expires alone would be public')
})

t.test('S41 CAC-01 CAC-03 an answer that sets a cookie is never kept, whatever anybody says', async (t) => {
  const rules = {
    location: { origin: 'http://a', base: '', prefix: '/api', publicOrigin: 'http://b', internalHosts: new Set<string>() },
    html: false,
    remove: [],
    cache: 'public' as const
  }
  const raw = ['Cache-Control', 'public, max-age=9'].map((part) => Buffer.from(part))
  for (const set of [{}, { 'Cache-Control': 'public' }] as Array<Record<string, string>>) {
    const { headers } = createResponseHeaders({ ...rules, set }).build(raw, 200, '/', ['a=b'], null)
    t.strictSame(headers.filter((_, index) => headers[index - 1] === 'cache-control' && index % 2 === 1), ['private, no-store'])
    t.strictSame(headers[headers.indexOf('set-cookie') + 1], ['a=b'])
  }
  const { headers } = createResponseHeaders({ ...rules, set: {} }).build(raw, 200, '/', [], null)
  t.match(headers[headers.indexOf('vary') + 1], /Cookie/)
})

t.test('PRX-13 challenges are read with care', async (t) => {
  t.equal(readChallenge(undefined), null)
  t.equal(readChallenge('Basic realm="x"'), null)
  t.equal(readChallenge('Bearer realm="x"'), null)
  t.equal(readChallenge(`Bearer error="invalid_token", x="${'a'.repeat(5000)}"`), null)
  t.strictSame(readChallenge('Bearer error="invalid_token"'), { kind: 'invalid_token' })
  t.strictSame(readChallenge('Basic realm="a", DPoP error=invalid_token, error="other"'), { kind: 'invalid_token' })
  const stepUp = readChallenge('Bearer error="insufficient_user_authentication", acr_values="urn:mace:gold phr", max_age="5"')
  t.strictSame(stepUp, { kind: 'step_up', acrValues: 'urn:mace:gold phr', maxAge: '5' })
  t.strictSame(
    readChallenge('Bearer error="insufficient_user_authentication", acr_values="a\\"b", max_age="-1; x"'),
    { kind: 'step_up', acrValues: null, maxAge: null }
  )
  t.equal(stepUpUrl('/bff/login', { kind: 'step_up', acrValues: 'urn:mace:gold phr', maxAge: '5' }), '/bff/login?acr_values=urn%3Amace%3Agold+phr&max_age=5')
  t.equal(stepUpUrl('/bff/login', { kind: 'step_up', acrValues: null, maxAge: null }), '/bff/login')
})

t.test('PRX-18 faults of the network have codes of ours', async (t) => {
  const fault = (code: string): Error => Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:80'), { code })
  t.equal(upstreamFailure(fault('ECONNREFUSED')).code, 'upstream_unreachable')
  t.equal(upstreamFailure(fault('UND_ERR_HEADERS_TIMEOUT')).code, 'upstream_timeout')
  t.equal(upstreamFailure(new Error('x')).detail, undefined)
  const own = new BullaError('overloaded')
  t.equal(upstreamFailure(own), own)
  t.ok(isConnectionFault(fault('ECONNRESET')))
  t.notOk(isConnectionFault(fault('UND_ERR_HEADERS_TIMEOUT')))
  t.ok(isConnectionFault(new AggregateError([fault('ECONNREFUSED'), fault('EHOSTUNREACH')])))
})

t.test('the memory of header names is bounded, and what does not fit is classified all the same', async (t) => {
  const headers = createRequestHeaders({ publicUrl: 'https://app.example', csrfHeader: 'x-csrf', set: {}, remove: [], via: false })
  const facts = { accessToken: null, forwardedFor: '1.2.3.4', requestId: 'r' }
  for (let i = 0; i < 2000; i++) headers.build([`X-${i}`, '1'], undefined, false, facts)
  const built = headers.build(['Authorization', 'x', 'AUTHORIZATION', 'x', 'X-Ok', '1', `X-Forwarded-${'a'.repeat(100)}`, '1'], undefined, false, facts)
  t.strictSame(built.slice(0, 2), ['x-ok', '1'])
  t.strictSame(built.slice(2), ['x-forwarded-host', 'app.example', 'x-forwarded-proto', 'https', 'x-forwarded-for', '1.2.3.4', 'x-request-id', 'r'])
})

t.test('request ids are unique', async (t) => {
  const next = createRequestIds()
  const ids = new Set(Array.from({ length: 1000 }, next))
  t.equal(ids.size, 1000)
  for (const id of ids) t.match(id, /^[\w-]{17,24}$/)
})

t.test('WSS-04 streams are noted by session, within bounds, and end with it', async (t) => {
  let now = 1_000_000
  // The timers of streams keep no process alive.
  const alive = setInterval(() => {}, 1000)
  const live = createLiveStreams({ clock: () => now, limit: 3, perSession: 2 })
  const ended: string[] = []
  const add = (sid: string, id: string, expiresAt = 2000): (() => void) | null => live.add({ sid, subject: 's', createdAt: 1, expiresAt }, () => { ended.push(id) })
  const release = add('a', 'a1')
  t.ok(add('a', 'a2'))
  t.equal(add('a', 'a3'), null, 'the bound of a session')
  t.ok(add('b', 'b1'))
  t.equal(add('c', 'c1'), null, 'the bound of all')
  release?.()
  release?.()
  t.equal(live.size, 2)
  t.equal(live.end('a'), 1)
  t.strictSame(ended, ['a2'])
  t.equal(live.end('a'), 0)
  now = 2_000_000
  await new Promise<void>((resolve) => { live.add({ sid: 'd', subject: 's', createdAt: 1, expiresAt: 2000 }, resolve) })
  clearInterval(alive)
  live.endAll()
  t.strictSame(ended, ['a2', 'b1'])
  t.equal(live.size, 0)
})

t.test('WSS-04 a stream whose session ended while it was being opened is ended once it is noted', async (t) => {
  const ended: string[] = []
  const live = createLiveStreams({ clock: () => 1_000_000, isOver: ({ sid }) => sid === 'over' })
  const add = (sid: string, id: string): (() => void) | null =>
    live.add({ sid, subject: 's', createdAt: 1, expiresAt: 2000 }, () => { ended.push(id) })
  add('over', 'noted')
  add('over', 'released')?.()
  add('alive', 'alive')
  t.strictSame(ended, [], 'its header leaves first')
  await Promise.resolve()
  t.strictSame(ended, ['noted'])
  t.equal(live.size, 1)
  live.endAll()
})

t.test('PRX-17 whatever a browser may take for a document is sandboxed, however its type is spelled', async (t) => {
  const rules = {
    location: { origin: 'http://a', base: '', prefix: '/api', publicOrigin: 'http://b', internalHosts: new Set<string>() },
    html: false,
    remove: [],
    set: {},
    cache: 'no-store' as const
  }
  const isSandboxed = (...types: string[]): boolean => {
    const raw = types.flatMap((type) => ['Content-Type', type]).map((part) => Buffer.from(part))
    const { headers } = createResponseHeaders(rules).build(raw, 200, '/', [], null)
    return headers.includes("sandbox; default-src 'none'")
  }
  for (const type of [
    'text/html', ' TEXT/HTML;charset=utf-8', 'image/svg+xml', 'application/xml', 'text/xml', 'application/xhtml+xml',
    'x-vendor/thing+xml', 'application/json, text/html', 'multipart/x-mixed-replace; boundary=x', 'text/xsl'
  ]) t.ok(isSandboxed(type), type)
  t.ok(isSandboxed('application/json', 'text/html'), 'the second of two lines')
  t.ok(isSandboxed('text/html', 'application/json'), 'the first of two lines')
  for (const type of ['application/json', 'text/plain', 'text/event-stream', 'application/octet-stream']) t.notOk(isSandboxed(type), type)
})

t.test('COK-10 CAC-03 cookies come once, with all their values, and the upstream\'s Vary stays in one line with ours', async (t) => {
  const { headers } = createResponseHeaders({
    location: { origin: 'http://a', base: '', prefix: '/api', publicOrigin: 'http://b', internalHosts: new Set<string>() },
    html: false,
    remove: [],
    set: {},
    cache: 'no-store'
  }).build(['Vary', 'Accept'].map((part) => Buffer.from(part)), 200, '/', ['a=1', 'b=2'], null)
  t.strictSame(headers[headers.indexOf('set-cookie') + 1], ['a=1', 'b=2'])
  t.equal(headers[headers.indexOf('vary') + 1], 'Accept, Cookie, Origin, Sec-Fetch-Site')
  t.equal(headers.filter((name) => name === 'vary').length, 1)
})
