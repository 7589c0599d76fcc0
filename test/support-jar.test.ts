// Holds the cookie jar to its word: one that is too lenient would let every cookie test pass.
import t from 'tap'
import { CookieJar } from './support/cookie-jar.ts'
import { formsOf, refreshOf } from './support/html.ts'
import { relation, secFetchSite } from './support/site.ts'

const app = new URL('https://app.example/')
const strictWith = (site: { sameSite: boolean, navigation: boolean, safe: boolean }) => {
  const jar = new CookieJar()
  for (const kind of ['Strict', 'Lax', 'None']) jar.setCookie(`${kind}=1; Secure; SameSite=${kind}`, app)
  jar.setCookie('Default=1; Secure', app)
  return jar.matching(app, site).map(({ name }) => name).sort()
}

t.test('cookies go to their host, path and scheme only', async (t) => {
  const jar = new CookieJar()
  jar.setCookie('host=1; Path=/bff; Secure', app)
  jar.setCookie('domain=1; Domain=app.example', app)
  t.equal(jar.header('https://app.example/bff/session'), 'host=1; domain=1', 'the longer path first')
  t.equal(jar.header('https://app.example/bffx'), 'domain=1')
  t.equal(jar.header('https://sub.app.example/bff'), 'domain=1')
  t.equal(jar.header('https://evilapp.example/bff'), undefined)
  t.equal(jar.header('http://app.example/bff'), 'domain=1')
})

t.test('a path that is not stated is the folder of the page', async (t) => {
  const jar = new CookieJar()
  jar.setCookie('a=1', new URL('https://app.example/bff/login'))
  t.equal(jar.cookies[0]?.path, '/bff')
})

t.test('SameSite decides by site, navigation and method', async (t) => {
  const all = ['Default', 'Lax', 'None', 'Strict']
  t.strictSame(strictWith({ sameSite: true, navigation: false, safe: false }), all)
  t.strictSame(strictWith({ sameSite: false, navigation: true, safe: true }), ['Default', 'Lax', 'None'])
  t.strictSame(strictWith({ sameSite: false, navigation: true, safe: false }), ['None'])
  t.strictSame(strictWith({ sameSite: false, navigation: false, safe: true }), ['None'])
})

t.test('SameSite cookies of another site are set by a navigation only', async (t) => {
  const jar = new CookieJar()
  const line = 'a=1; Secure; SameSite=Strict'
  const request = { sameSite: false, navigation: false, safe: true }
  t.equal(jar.setCookie(line, app, request), 'SameSite from another site')
  t.equal(jar.setCookie(line, app, { ...request, navigation: true }), 'stored')
})

t.test('what browsers drop without a word is dropped', async (t) => {
  const lines = {
    [`a=${'x'.repeat(4096)}`]: 'larger than 4096 bytes',
    'a=1; Domain=example.org': 'foreign domain',
    'a=1; Domain=example': 'foreign domain',
    'a=1; SameSite=None': 'SameSite=None without Secure',
    '__Host-a=1; Path=/': 'prefix without Secure',
    '__Host-a=1; Secure; Path=/bff': '__Host- with Domain or without Path=/',
    '__Host-a=1; Secure': '__Host- with Domain or without Path=/',
    '__Host-a=1; Secure; Path=/; Domain=app.example': '__Host- with Domain or without Path=/',
    '__secure-a=1': 'prefix without Secure',
    '__Http-a=1; Secure': 'prefix without HttpOnly',
    '__Host-Http-a=1; Secure; Path=/': 'prefix without HttpOnly',
    '__Host-Http-a=1; Secure; HttpOnly; Path=/b': '__Host- with Domain or without Path=/',
    '=__Host-a; Secure; Path=/': 'nameless with a prefix',
    'a=\u0007': 'control character',
    '': 'empty'
  }
  const jar = new CookieJar()
  for (const [line, reason] of Object.entries(lines)) {
    t.equal(jar.setCookie(line, app), reason, line.slice(0, 60))
  }
  t.equal(jar.setCookie(`a=${'x'.repeat(4095)}`, app), 'stored', '4096 bytes of name and value fit')
  t.equal(jar.setCookie('__Host-Http-a=1; Secure; HttpOnly; Path=/; SameSite=Strict', app), 'stored')
})

t.test('an attribute of more than 1024 bytes does not count', async (t) => {
  const jar = new CookieJar()
  jar.setCookie(`a=1; Path=/${'x'.repeat(1024)}`, app)
  t.equal(jar.cookies[0]?.path, '/')
})

t.test('Secure is taken over http from localhost alone', async (t) => {
  const jar = new CookieJar()
  t.equal(jar.setCookie('a=1; Secure', new URL('http://app.example/')), 'Secure over plain http')
  t.equal(jar.setCookie('a=1; Secure', new URL('http://localhost:3000/')), 'stored')
  t.equal(jar.header('http://localhost:4000/'), 'a=1', 'ports are not kept apart')
  jar.setCookie('b=1; Secure', app)
  t.equal(jar.setCookie('b=2', new URL('http://app.example/')), 'would overlay a Secure cookie')
})

t.test('cookies live as long as Max-Age says, else Expires, at most 400 days', async (t) => {
  let now = Date.UTC(2026, 0, 1)
  const jar = new CookieJar(() => now)
  jar.setCookie('a=1; Max-Age=60; Expires=Fri, 01 Jan 2100 00:00:00 GMT', app)
  jar.setCookie('b=1; Max-Age=999999999', app)
  jar.setCookie('c=1; Expires=Thu, 01 Jan 2026 00:00:30 GMT', app)
  jar.setCookie('d=1', app)
  t.equal(jar.header(app), 'a=1; b=1; c=1; d=1')
  now += 30_000
  t.equal(jar.header(app), 'a=1; b=1; d=1')
  now += 30_000
  t.equal(jar.header(app), 'b=1; d=1')
  now += 400 * 86_400_000
  t.equal(jar.header(app), 'd=1')
})

t.test('only the same name, domain and path deletes a cookie', async (t) => {
  const jar = new CookieJar()
  jar.setCookie('a=1; Path=/', app)
  t.equal(jar.setCookie('a=; Path=/bff; Max-Age=0', app), 'deleted')
  t.equal(jar.get('a'), '1')
  jar.setCookie('a=; Path=/; Max-Age=0', app)
  t.equal(jar.get('a'), undefined)
})

t.test('a host keeps 180 cookies, and the oldest goes first', async (t) => {
  const jar = new CookieJar()
  for (let i = 0; i <= 180; i++) jar.setCookie(`c${i}=1`, app)
  t.equal(jar.cookies.length, 180)
  t.equal(jar.get('c0'), undefined)
})

t.test('a clone goes its own way; cookies can be planted and cleared', async (t) => {
  const jar = new CookieJar()
  jar.setCookie('a=1', app)
  const copy = jar.clone()
  jar.clear()
  copy.plant({ name: '__Host-b', value: '2', domain: 'app.example' })
  t.equal(jar.header(app), undefined)
  t.equal(copy.header(app), 'a=1; __Host-b=2')
})

t.test('localhost and 127.0.0.1 are two sites, ports are one, schemes are two', async (t) => {
  const from = new URL('http://localhost:3000')
  t.equal(relation(from, new URL('http://localhost:3000/x')), 'same-origin')
  t.equal(relation(from, new URL('http://localhost:3001/x')), 'same-site')
  t.equal(relation(from, new URL('http://127.0.0.1:3000/x')), 'cross-site')
  t.equal(relation(app, new URL('http://app.example/')), 'cross-site')
  t.equal(relation(app, new URL('https://api.app.example/')), 'same-site')
})

t.test('Sec-Fetch-Site names the worst step of a chain, and none for what a person typed', async (t) => {
  const other = new URL('https://as.test/')
  t.equal(secFetchSite(app, [app, other, app]), 'cross-site')
  t.equal(secFetchSite(app, [app, new URL('https://sub.app.example/')]), 'same-site')
  t.equal(secFetchSite(null, [app, other, app]), 'none')
})

t.test('forms and refreshes are read with their entities', async (t) => {
  const [form] = formsOf(`<form action="/a?x=1&amp;y=2" method=post><input type="hidden" name='n' value="&#34;&lt;">
    <input type=submit name=no><button name="b" value="v"><b>Press</b> me</button></form>`)
  t.strictSame(form, {
    method: 'POST', action: '/a?x=1&y=2', fields: { n: '"<' }, buttons: [{ name: 'b', value: 'v', text: 'Press me' }]
  })
  t.equal(refreshOf('<meta charset=utf-8><meta http-equiv="Refresh" content="0; url=/next?a=1&amp;b">'), '/next?a=1&b')
  t.equal(refreshOf('<p>none</p>'), undefined)
})
