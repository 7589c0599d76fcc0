// Request targets: what no two parsers may read differently is refused, the rest routes and is sent as one.
import t from 'tap'
import { readTarget } from '../../src/proxy/paths.ts'
import { build } from '../support/build.ts'
import { openRaw } from '../support/raw.ts'
import { startUpstream } from '../support/upstream.ts'

const REFUSED = [
  '/api/..', '/api/../x', '/api/%2e%2e/x', '/api/.%2e/x', '/api/%2E%2e', '/api/..%2fx', '/api/..%5cx', '/api/..\\x', '/api/..;/x',
  '/api/x/..;a=b/y', '/api/%252e%252e/x', '/api/%252fx', '/api/%25252e', '/api/%c0%ae%c0%ae/x', '/api/%u002e%u002e/x', '/api/./x',
  '/api/.', '/api/%2e', '/api/x%2fy', '/api/x%5cy', '/api/x\\y', '/api/x%00', '/api/x%0d%0ay', '/api/x%0ay', '//api/x', '/api//x', '/api/x//',
  '/api/%zz', '/api/%', '/api/%a', '/api/%ff', '/api/%c3%28', '/api/x#y', '/api/x?a#b', '/api/x?a b', 'http://evil/api/x', 'api/x', '*', '',
  '/api/x y', '/api/\u00e4', '/api/;/x', '/api/x;/y', '/api/.;x/y'
]

t.test('PRX-20 PRX-21 PRX-25 S18 S45 forms that servers read differently are no targets', async (t) => {
  for (const url of REFUSED) t.equal(readTarget(url), null, url)
})

t.test('PRX-22 escapes of unreserved characters are decoded, others stay, the query is not touched', async (t) => {
  const cases: Array<[string, string, string]> = [
    ['/api/x', '/api/x', ''], ['/%61pi/x?%61', '/api/x', '?%61'], ['/api/a%20b', '/api/a%20b', ''], ['/api/%7Ejane', '/api/~jane', ''],
    ['/api/jane.doe', '/api/jane.doe', ''], ['/api/...', '/api/...', ''], ['/api/.well-known/x', '/api/.well-known/x', ''],
    ['/api/%23x', '/api/%23x', ''], ['/api/%C3%A4', '/api/%C3%A4', ''], ['/api/x;v=1', '/api/x;v=1', ''], ['/api/', '/api/', ''],
    ['/api/a:b@c,d', '/api/a:b@c,d', ''], ['/api/x?a=/../b&c=%2e%2e', '/api/x', '?a=/../b&c=%2e%2e'], ['/api/100%25', '/api/100%25', '']
  ]
  for (const [url, path, query] of cases) t.strictSame(readTarget(url), { path, query }, url)
})

t.test('PRX-21 a route may let %2f through, but not as a way out', async (t) => {
  t.strictSame(readTarget('/api/a%2Fb', true), { path: '/api/a%2Fb', query: '' })
  for (const url of ['/api/..%2f..%2fx', '/api/%2e%2e%2fx', '/api/%2f', '/api/x%2f', '/api/a%2f%2fb', '/api/a%5cb', '/api/a%2f..']) {
    const target = readTarget(url, true)
    if (url === '/api/x%2f') t.strictSame(target, { path: url, query: '' })
    else t.equal(target, null, url)
  }
})

t.test('PRX-22 BBA-16 BBA-17 BBA-18 no form reaches another path of the upstream', async (t) => {
  const upstream = await startUpstream(t)
  const built = await build(t, {
    settings: {
      routes: [
        { prefix: '/api', upstream: upstream.url, rewrite_prefix: '/base', token: 'none' },
        { prefix: '/api/admin', upstream: 'http://127.0.0.1:9', token: 'user' }
      ]
    }
  })
  const forms = [...REFUSED, '/API/x', '/apix', '/api;x', '/%61pi/x', '/api/%61dmin', '/api/admin/x', '/api/ADMIN', '/x/../api/y', '/%2fapi/x']
  for (const form of forms.filter((form) => /^[\x21-\x7e]+$/.test(form))) {
    upstream.requests.length = 0
    const raw = await openRaw(t, Number(new URL(built.url).port))
    raw.send(`GET ${form} HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nConnection: close\r\n\r\n`)
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(await raw.closed())?.[1])
    if (form === '/%61pi/x' || form === '/api/ADMIN') {
      t.equal(status, 200, form)
      t.match(upstream.requests[0]?.url, /^\/base\/(?:x|ADMIN)$/)
    } else {
      t.ok([400, 401, 404].includes(status), `${form} ${status}`)
      t.equal(upstream.requests.length, 0, form)
    }
  }
})
