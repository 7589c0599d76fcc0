// Rules between settings that the shortest configuration does not touch: origins, dev servers, keys, flags.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import t from 'tap'
import { ConfigError, loadConfig } from '../../src/config/load.ts'
import { nearest } from '../../src/config/nearest.ts'
import { readClientKey } from '../../src/lib/client-key.ts'
import { keyFault } from '../../src/lib/ring-key.ts'
import { ringKey } from '../support/build.ts'

const USUAL = {
  public_url: 'https://app.example',
  issuer: 'https://id.example',
  client_id: 'app',
  client_secret: 'Zq8-dz7r4Tn0',
  keys: [ringKey()]
}

function faults (settings: Record<string, unknown>, env: Record<string, string> = {}): readonly string[] {
  try {
    loadConfig({ settings: { ...USUAL, ...settings }, env })
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

t.test('CSR-06 S4 allowed origins are exact, https off loopback', async (t) => {
  t.strictSame(faults({ allowed_origins: ['https://admin.app.example', 'http://localhost:5173'] }), [])
  for (const origin of ['https://a.example/', 'https://a.example:443', 'https://*.example', 'null', 'a.example', 'https://u@a.example']) {
    t.match(faults({ allowed_origins: [origin] }), [/^allowed_origins: .* must be an exact origin/], origin)
  }
  t.match(faults({ allowed_origins: ['http://a.example'] }), [/^allowed_origins: .* must be https/])
})

t.test('the app is a folder or the origin of a development server', async (t) => {
  t.strictSame(faults({ spa: t.testdir({}) }), [])
  t.strictSame(faults({ spa: 'http://localhost:5173' }), [])
  t.match(faults({ spa: 'http://localhost:5173/app' }), [/^spa must be a folder, or the origin/])
})

t.test('an issuer is a URL without query, fragment and credentials', async (t) => {
  for (const issuer of ['id.example', 'https://id.example?a', 'https://id.example#a', 'https://u:p@id.example']) {
    t.match(faults({ issuer }), [/^issuer must be an https URL without query/], issuer)
  }
  t.match(faults({ issuer: 7 }), [/^issuer /])
})

t.test('flags and lists of the environment, over a file that says otherwise', async (t) => {
  const file = `${t.testdir({ 'a.json': JSON.stringify({ ...USUAL, routing_cookie: true, session: 'x' }) })}/a.json`
  const env = { BULLA_SESSION_MAX_AGE: '1h' }
  for (const [written, read] of [['true', true], ['1', true], ['false', false], ['0', false]] as const) {
    t.equal(loadConfig({ file, env: { ...env, BULLA_ROUTING_COOKIE: written } }).routing_cookie, read)
  }
  t.match(faults({}, { BULLA_ROUTING_COOKIE: 'yes' }), [/^routing_cookie must be true or false/])
  t.match(faults({ peers: 'nonsense:' }), [/^peers/])
  t.match(faults({ claims: 'name, email' }), [], 'a list may be written with commas in a file too')
})

t.test('route settings that contradict each other', async (t) => {
  const route = (over: object): readonly string[] =>
    faults({ routes: [{ prefix: '/api', upstream: 'https://api.internal', ...over }] })
  t.strictSame(route({ websocket: true, retry: 'connect', via: true, encoded_slashes: true, html: true }), [])
  t.strictSame(route({ token: 'none', cache: 'public' }), [])
  t.match(route({ token: 'service' }), [/^routes\.0\.token must be one of/], 'a value that is not offered')
  t.match(route({ request_headers: { set: { 'bad name': 'x' } } }), [/^routes\.0\.request_headers/])
  t.match(route({ request_headers: { set: { 'x-a': 'b\r\nx: y' } } }), [/^routes\.0\.request_headers/])
})

t.test('the nearest name is near, or there is none', async (t) => {
  t.equal(nearest('isuer', ['issuer', 'client_id']), 'issuer')
  t.equal(nearest('', ['issuer']), undefined)
  t.equal(nearest('issuer', []), undefined)
  t.equal(nearest('zzzzzzzz', ['issuer']), undefined)
})

t.test('SEA-07/08 a ring key is random, not a row of numbers or a text', async (t) => {
  t.equal(keyFault(randomBytes(32).toString('base64url')), null)
  t.match(keyFault(Buffer.from(Array.from({ length: 32 }, (_, i) => i * 3)).toString('base64url')), /.+/)
  t.match(keyFault(Buffer.from('correct horse battery staple 123').toString('base64url')), /.+/)
})

t.test('FAP-01 client keys sign with strong algorithms of their own type', async (t) => {
  const pem = (type: 'rsa' | 'ec' | 'ed25519', options: object): string =>
    generateKeyPairSync(type as 'rsa', { modulusLength: 2048, ...options }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const jwk = (type: 'ec' | 'ed25519', alg: string): string => JSON.stringify({
    ...generateKeyPairSync(type as 'ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), alg, kid: 'k1'
  })
  t.equal(readClientKey(pem('rsa', {})).alg, 'RS256')
  t.equal(readClientKey(pem('ec', { namedCurve: 'P-384' })).alg, 'ES384')
  t.equal(readClientKey(pem('ed25519', {})).alg, 'EdDSA')
  t.match(readClientKey(jwk('ec', 'ES256')), { alg: 'ES256', kid: 'k1' })
  t.match(readClientKey(jwk('ed25519', 'Ed25519')), { alg: 'EdDSA' })
  t.throws(() => readClientKey(jwk('ec', 'ES384')), /names an alg/)
  t.throws(() => readClientKey(jwk('ed25519', 'ES256')), /names an alg/)
  t.throws(() => readClientKey(pem('ec', { namedCurve: 'secp256k1' })), /cannot sign/)
  t.throws(() => readClientKey(pem('rsa', { modulusLength: 1024 })), /fewer than 2048/)
  t.throws(() => readClientKey('{'), /no JSON/)
})

t.test('a token of the route\'s own: where it can come from, and what it is for', async (t) => {
  const route = (over: object, more: object = {}): readonly string[] =>
    faults({ routes: [{ prefix: '/api', upstream: 'https://api.internal', ...over }], ...more })
  const browser = { refresh: { mode: 'browser' } }
  t.strictSame(route({ token: 'client', audience: 'orders', scope: 'a b' }), [])
  t.strictSame(route({ token: 'client' }), [])
  t.strictSame(route({ resource: 'https://api.example/orders?x=1' }), [])
  t.strictSame(route({ exchange: {} }), [])
  t.strictSame(route({ token: 'optional', exchange: { resource: 'urn:orders' } }, browser), [])
  t.match(route({ resource: 'orders' }), [/^routes\.0\.resource must be an absolute URI/], 'RES-01')
  t.match(route({ resource: 'https://api.example/#a' }), [/^routes\.0\.resource must be an absolute URI/])
  t.match(route({ exchange: { resource: 'x#' } }), [/^routes\.0\.exchange\.resource/])
  t.match(route({ scope: 'a  b' }), [/^routes\.0\.scope/])
  t.match(route({ exchange: { scope: 'a\nb' } }), [/^routes\.0\.exchange\.scope/])
  t.match(route({ token: 'none', audience: 'a' }), [/^routes\.0: a route with token: none/])
  t.match(route({ token: 'none', exchange: {} }), [/^routes\.0: a route with token: none/])
  t.match(route({ token: 'client', exchange: {} }), [/^routes\.0\.exchange needs the token of a person/])
  t.match(route({ audience: 'a', exchange: {} }), [/^routes\.0: put resource, audience and scope into exchange/])
  t.match(route({ audience: 'a' }, browser), [/^routes\.0: in refresh\.mode browser/])
  t.strictSame(route({ exchange: null }), ['routes.0.exchange must be object.'], 'what is of another type is told once')
  t.strictSame(route({ resource: 5, scope: 7 }).toSorted(), ['routes.0.resource must be string.', 'routes.0.scope must be string.'])
  t.strictSame(faults({ routes: [null] }), ['routes.0 must be object.'])
  t.match(route({ exchange: { subject: 'x' } }), [/^routes\.0\.exchange\.subject is no setting/])
})

t.test('aggregates: names, and paths of calls that some route takes', async (t) => {
  const routes = [{ prefix: '/api', upstream: 'https://api.internal' }, { prefix: '/api/write', upstream: 'https://api.internal', methods: ['POST'] }]
  const aggregate = (parts: unknown, name = 'page'): readonly string[] => faults({ routes, aggregates: { [name]: parts } })
  t.strictSame(aggregate({ a: '/api/x?y=%20', b: { path: '/api' }, c: { path: '/api/z', optional: true } }), [])
  t.match(aggregate({ a: '/apix' }), [/^aggregates\.page\.a: no route leads to/])
  t.match(aggregate({ a: '/bff/session' }), [/^aggregates\.page\.a: no route leads to/])
  t.match(aggregate({ a: '/api/write/x' }), [/^aggregates\.page\.a: the route \/api\/write takes no GET/])
  for (const path of ['api', '//api', '/api/../x', '/api/./x', '/api//x', '/api/%2e%2e/x', '/api/x#y', '/api/a b', 'https://a/api']) {
    t.match(aggregate({ a: path }), [/^aggregates\.page\.a must be a plain path/], path)
  }
  t.match(aggregate({}), [/^aggregates\.page must have from 1 to 20 parts/])
  t.match(aggregate(Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`p${i}`, '/api/x']))), [/^aggregates\.page must have/])
  t.match(aggregate({ a: '/api/x' }, 'a/b'), [/^aggregates\.a\/b must be named/])
  t.match(aggregate({ 'a b': '/api/x' }), [/^aggregates\.page\.a b must be named/])
  t.match(aggregate({ 1: '/api/x' }), [/^aggregates\.page\.1 must be named/])
  t.strictSame(aggregate({ a: '/api/x/' }), [])
  t.match(aggregate({ a: '/api/a;/b' }), [/^aggregates\.page\.a must be a plain path/])
  t.match(aggregate({ a: { path: '/api/x', when: 1 } }), [/^aggregates\.page\.a\.when is no setting/])
  t.match(aggregate({ a: 7 }), [/^aggregates\.page\.a must be object/])
  t.match(aggregate({ a: {} }), [/^aggregates\.page\.a\.path is required/])
  t.match(faults({ routes: [null], aggregates: { page: { a: '/api' } } }), [/^routes\.0 must be object/, /^aggregates\.page\.a: no route leads to/])
  t.match(faults({ aggregates: 'x' }), [/^aggregates must be object/])
  t.match(faults({ aggregates: { page: null } }), [/^aggregates\.page must be object/])
})
