// Where a login may end: the fifty bad values of the standards list, the good ones, and many that are made
// up.
import fc from 'fast-check'
import t from 'tap'
import { acceptedReturnTo, createReturnToPolicy, isRoutePath } from '../../src/security/return-to.ts'

const policy = createReturnToPolicy('https://app.example', '/bff', [
  { prefix: '/api', csrf: 'header' },
  { prefix: '/api/files', csrf: 'fetch-metadata' },
  { prefix: '/files', csrf: 'fetch-metadata' },
  { prefix: '/files/private', csrf: 'header' }
])

/** After one decoding of the query; numbered as in the list. */
const BAD: Record<number, string[]> = {
  1: ['https://evil.example/'],
  2: ['//evil.example'],
  3: ['///evil.example'],
  4: ['////evil.example/%2e%2e'],
  5: ['/\\evil.example'],
  6: ['\\\\evil.example'],
  7: ['\\/evil.example'],
  8: ['/\\/evil.example'],
  9: ['/\t/evil.example'],
  10: ['/\n/evil.example'],
  11: ['/\r\n/evil.example'],
  12: ['\t//evil.example', ' //evil.example'],
  13: ['https:evil.example', 'https:/evil.example'],
  14: ['http:///evil.example'],
  15: ['javascript:alert(1)'],
  16: ['java\tscript:alert(1)'],
  17: ['JaVaScRiPt://%0aalert(1)'],
  18: ['data:text/html,x', 'vbscript:x', 'file:///x', 'ftp://app.example/'],
  19: ['blob:https://app.example/x'],
  20: ['//app.example@evil.example'],
  21: ['https://app.example@evil.example/'],
  22: ['https://app.example:443@evil.example'],
  23: ['https://app.example.evil.example/'],
  24: ['https://app.example:8443/'],
  25: ['http://app.example/'],
  26: ['https://app.example\\@evil.example'],
  27: ['https://evil.example\\.app.example'],
  28: ['https://evil.example#@app.example'],
  29: ['https://evil.example?app.example'],
  30: ['//evil%E3%80%82example'],
  31: ['//ⓔvil.example'],
  32: ['https://аpp.example/'],
  33: ['/.//evil.example'],
  34: ['/..//evil.example'],
  35: ['/foo/..//evil.example'],
  36: ['/./\\evil.example'],
  37: ['/%5cevil.example', '/%2f%2fevil.example', '/%09/evil.example'],
  38: ['/x\r\nSet-Cookie: a=b'],
  39: ['/x\0', ...Array.from({ length: 32 }, (_, code) => `/x${String.fromCharCode(code)}`), '/x\u007f'],
  40: ['', '.', 'evil.example', '@evil.example', ';@evil.example'],
  41: ['?next=//evil.example', '#//evil.example'],
  42: ['//', '///'],
  43: ['//[::1]/', '//0x7f.1/', 'https://[::ffff:1.2.3.4]/'],
  44: ['/a,/b '],
  45: [`/${'x'.repeat(5000)}`],
  46: ['/bff/login?returnTo=/bff/login'],
  47: ['/bff/logout', '/bff/callback?code=x&state=y', '/bff', '/BFF/logout', '/x/../bff/logout', '/%62ff/logout', '/bff%2flogout'],
  48: ['/api/anything', '/api', '/API/x', '/%61pi/x', '/x/../api/y', '/files/private/x', '/api?x=1', '/api#x'],
  49: ['/\ud800', '/%ff', '/%zz', '/%'],
  50: ['/\u2028/evil.example', '/\u00a0/evil']
}

const GOOD = [
  '/', '/orders', '/orders/42?tab=open', '/search?q=a%20b&x=1', '/a/b/c/', '/app#/route/7',
  '/p?next=https%3A%2F%2Fother.example', '/caf%C3%A9', '/file.name-with_~chars', '/a;b=c', '/x?redirect=%2F%2Ffoo',
  '/items/%E2%82%AC?sort=-date'
]

for (const [number, values] of Object.entries(BAD)) {
  t.test(`RDR-01 RDR-02 RDR-03/04 S1 S2 S3 S4 S6 S7 S8 bad value ${number} is refused`, async (t) => {
    for (const value of values) {
      t.equal(acceptedReturnTo(value, policy), null, JSON.stringify(value).slice(0, 60))
    }
  })
}

t.test('RDR-02 the good values are accepted unchanged', async (t) => {
  for (const value of GOOD) t.equal(acceptedReturnTo(value, policy), value, value)
  t.equal(acceptedReturnTo(`/${'x'.repeat(2047)}`, policy)?.length, 2048)
})

t.test('a fetch-metadata route may be a target, the longest prefix deciding', async (t) => {
  for (const value of ['/files', '/files/a?b', '/api/files/7', '/files/privateer']) {
    t.equal(acceptedReturnTo(value, policy), value)
    t.ok(isRoutePath(value, policy))
  }
  for (const value of ['/apix', '/filesystem', '/bffx', '/']) {
    t.equal(acceptedReturnTo(value, policy), value)
    t.notOk(isRoutePath(value, policy))
  }
})

/** Pieces out of which open redirectors were made. */
const pieces = [
  '/', '//', '\\', '/\\', '.', '..', '/./', '/../', ';', '@', ':', '?', '#', '%2f', '%2F', '%5c', '%5C', '%09', '%0a', '%0d', '%00',
  '%252f', '%25', '\t', '\n', '\r', ' ', '\0', '\u00a0', '\u2028', '\u3002', '\uff0f', '\u2215', 'https:', 'http:', 'javascript:', 'data:',
  'evil.example', 'app.example', '[::1]', '0x7f.1', 'bff', 'api', 'BFF', '%62ff', 'a', '%c0%af', '%e3%80%82', '&', '=', '"', '<'
]

/** Every way in which somebody may read a Location once more. */
function readings (value: string): string[] {
  const url = new URL(value, 'https://app.example')
  const stripped = value.replace(/[\t\r\n]/g, '')
  const decoded = (text: string): string => { try { return decodeURIComponent(text) } catch { return text } }
  return [value, stripped, url.pathname + url.search + url.hash, decoded(value.split(/[?#]/, 1)[0] ?? ''), value.replaceAll('\\', '/')]
}

t.test('RDR-01 800 made-up values: what is accepted stays on this origin, however it is read', async (t) => {
  let accepted = 0
  fc.assert(fc.property(fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 7 }), (parts) => {
    const value = `/${parts.join('')}`
    for (const candidate of [value, value.slice(1)]) {
      if (acceptedReturnTo(candidate, policy) === null) continue
      accepted += 1
      for (const reading of readings(candidate)) {
        const url = new URL(reading, 'https://app.example')
        if (url.origin !== 'https://app.example') return false
        if (/^\/(?:bff|api)(?:\/|$)/i.test(url.pathname) && !/^\/api\/files(?:\/|$)/i.test(url.pathname)) return false
        if ([...reading.split(/[?#]/, 1)[0] ?? ''].some((character) => character < ' ')) return false
      }
    }
    return true
  }), { numRuns: 800, seed: 20_261_122 })
  t.ok(accepted > 20, `${accepted} were accepted`)
})

t.test('RDR-01 800 arbitrary strings never throw, and never leave the origin', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
    const found = acceptedReturnTo(`/${text}`, policy)
    return found === null || new URL(found, 'https://app.example').origin === 'https://app.example'
  }), { numRuns: 800, seed: 7 })
  t.pass()
})
