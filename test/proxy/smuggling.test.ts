// Malformed and smuggled requests, byte for byte: the upstream sees at most one, and a clean one.
import t from 'tap'
import { build } from '../support/build.ts'
import { openRaw } from '../support/raw.ts'
import { sessionCookie } from '../support/session-cookie.ts'
import { startUpstream } from '../support/upstream.ts'

const UPSTREAM_PATHS = new Set(['/api/x'])

/** name → request; `{}` stands for the usual headers. What follows is a smuggled second request. */
const CASES: Record<string, string> = {
  'PRX-26 TE and CL': 'POST /api/x HTTP/1.1\r\n{}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/evil HTTP/1.1\r\nHost: x\r\n\r\n',
  'PRX-26 two differing CLs': 'POST /api/x HTTP/1.1\r\n{}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
  'PRX-26 CL as a list': 'POST /api/x HTTP/1.1\r\n{}Content-Length: 5, 5\r\n\r\nhello',
  'PRX-26 negative CL': 'POST /api/x HTTP/1.1\r\n{}Content-Length: -5\r\n\r\nhello',
  'PRX-26 CL with plus': 'POST /api/x HTTP/1.1\r\n{}Content-Length: +5\r\n\r\nhello',
  'PRX-26 TE not ending in chunked': 'POST /api/x HTTP/1.1\r\n{}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n',
  'PRX-26 TE identity': 'POST /api/x HTTP/1.1\r\n{}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n',
  'PRX-26 TE xchunked': 'POST /api/x HTTP/1.1\r\n{}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
  'PRX-26 TE with vertical tab': 'POST /api/x HTTP/1.1\r\n{}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n',
  'PRX-26 space before colon': 'POST /api/x HTTP/1.1\r\n{}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
  'PRX-26 space before colon of CL': 'POST /api/x HTTP/1.1\r\n{}Content-Length : 5\r\n\r\nhello',
  'PRX-26 bare CR in a value': 'GET /api/x HTTP/1.1\r\n{}X-A: a\rX-B: b\r\n\r\n',
  'PRX-26 bare LF line ends': 'GET /api/x HTTP/1.1\nHost: x\nX-CSRF: 1\n\n',
  'PRX-26 obs-fold': 'GET /api/x HTTP/1.1\r\n{}X-A: a\r\n b\r\n\r\n',
  'PRX-26 NUL in a value': 'GET /api/x HTTP/1.1\r\n{}X-A: a\0b\r\n\r\n',
  'PRX-26 no header name': 'GET /api/x HTTP/1.1\r\n{}: a\r\n\r\n',
  'PRX-26 bad header name': 'GET /api/x HTTP/1.1\r\n{}X(A): a\r\n\r\n',
  'PRX-26 bad chunk size': 'POST /api/x HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n',
  'PRX-26 chunk longer than said': 'POST /api/x HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\nGET /api/evil HTTP/1.1\r\nHost: x\r\n\r\n',
  'PRX-26 chunk ended by LF': 'POST /api/x HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n',
  'two Hosts': 'GET /api/x HTTP/1.1\r\nHost: a\r\n{}\r\n',
  'no Host': 'GET /api/x HTTP/1.1\r\nX-CSRF: 1\r\n\r\n',
  'PRX-23 absolute form': 'GET http://evil.example/api/x HTTP/1.1\r\n{}\r\n',
  'PRX-23 absolute form of ourselves': 'GET http://localhost/api/x HTTP/1.1\r\n{}\r\n',
  'PRX-23 authority form': 'CONNECT evil.example:443 HTTP/1.1\r\n{}\r\n',
  'PRX-23 two slashes': 'GET //evil.example/api/x HTTP/1.1\r\n{}\r\n',
  'PRX-23 slash and backslash': 'GET /\\evil.example/api/x HTTP/1.1\r\n{}\r\n',
  'PRX-23 at sign': 'GET @evil.example/api/x HTTP/1.1\r\n{}\r\n',
  'PRX-23 asterisk': 'GET * HTTP/1.1\r\n{}\r\n',
  'PRX-23 S13 fragment': 'GET /api/x#y HTTP/1.1\r\n{}\r\n',
  'PRX-23 S13 fragment in the query': 'GET /api/x?a#y HTTP/1.1\r\n{}\r\n',
  'PRX-21 NUL in the target': 'GET /api/x\0y HTTP/1.1\r\n{}\r\n',
  'PRX-21 TAB in the target': 'GET /api/x\ty HTTP/1.1\r\n{}\r\n',
  'PRX-21 CR in the target': 'GET /api/x\ry HTTP/1.1\r\n{}\r\n',
  'a space in the target': 'GET /api/x y HTTP/1.1\r\n{}\r\n',
  'no method': ' /api/x HTTP/1.1\r\n{}\r\n',
  'HTTP/2 in text': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'HTTP/0.9': 'GET /api/x\r\n\r\n',
  'another protocol': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
  'PRX-10 headers too large': `GET /api/x HTTP/1.1\r\n{}X-Big: ${'a'.repeat(17_000)}\r\n\r\n`,
  'PRX-10 URL too long': `GET /api/${'a'.repeat(9_000)} HTTP/1.1\r\n{}\r\n`,
  'PRX-10 URL far too long': `GET /api/${'a'.repeat(40_000)} HTTP/1.1\r\n{}\r\n`
}

const STATUS: Record<string, number> = {
  'PRX-10 headers too large': 431, 'PRX-10 URL too long': 414, 'PRX-10 URL far too long': 414, 'PRX-23 asterisk': 404
}

t.test('malformed requests are refused in the words of the contract, and none is smuggled', async (t) => {
  const upstream = await startUpstream(t)
  const built = await build(t, { settings: { routes: [{ prefix: '/api', upstream: upstream.url }] } })
  const cookie = await sessionCookie(built)
  const usual = `Host: x\r\nX-CSRF: 1\r\nCookie: ${cookie}\r\nConnection: close\r\n`
  for (const [name, text] of Object.entries(CASES)) {
    await t.test(name, async (t) => {
      upstream.requests.length = 0
      const raw = await openRaw(t, Number(new URL(built.url).port))
      raw.send(text.replace('{}', usual))
      const answer = await raw.closed()
      t.ok(upstream.requests.length <= 1, 'at most one')
      for (const request of upstream.requests) t.ok(UPSTREAM_PATHS.has(request.url), request.url)
      if (text.startsWith('CONNECT')) {
        t.equal(answer, '')
        return
      }
      const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1])
      if (STATUS[name] !== undefined) t.equal(status, STATUS[name])
      else t.ok(status === 400 || status === 404, `${status}`)
      t.match(answer, /\r\nbulla-error: \w+\r\n/i)
      t.match(answer, /\r\ncontent-type: application\/problem\+json/i)
      t.match(answer, /\r\ncache-control: no-store\r\n/i)
      t.notMatch(answer.slice(answer.indexOf('\r\n\r\n') + 4), /HTTP\/1\.1/, 'one answer')
    })
  }
})

t.test('two good requests on one connection are two, and a bad second one does not disturb the first', async (t) => {
  const upstream = await startUpstream(t)
  const built = await build(t, { settings: { routes: [{ prefix: '/api', upstream: upstream.url, token: 'none' }] } })
  const raw = await openRaw(t, Number(new URL(built.url).port))
  const one = 'GET /api/x HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\n\r\n'
  raw.send(one + one)
  await raw.until(/HTTP\/1\.1 200 [^]*HTTP\/1\.1 200 [^]*\}\r\n0\r\n\r\n$/)
  t.equal(upstream.requests.length, 2)
  raw.send(`${one}GET /api/x HTTP/1.1\r\nBad Header: x\r\n\r\n`)
  const answer = await raw.closed()
  t.ok(answer.split('HTTP/1.1 ').length <= 5)
  t.ok(upstream.requests.length <= 3)
})

t.test('a header that takes too long is 408', async (t) => {
  const built = await build(t, { deps: { headerTime: 200 } })
  const raw = await openRaw(t, Number(new URL(built.url).port))
  raw.send('GET /api/x HTTP/1.1\r\nHost: x\r\nX-Slow')
  const answer = await raw.closed()
  t.match(answer, /^HTTP\/1\.1 408 [^]*bulla-error: request_timeout\r\n/)
})

t.test('PRX-28 a body of ours that stalls is 408', async (t) => {
  const built = await build(t, { deps: { bodyStall: 100 } })
  const raw = await openRaw(t, Number(new URL(built.url).port))
  raw.send('POST /bff/logout HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\nabc')
  t.match(await raw.closed(), /^HTTP\/1\.1 408 [^]*bulla-error: request_timeout\r\n/i)
})
