// The configuration: sources, units, defaults, and faults that are told all at once.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { ConfigError, loadConfig, type ConfigSource } from '../../src/config/load.ts'
import { ringKey } from '../support/build.ts'

const KEY = ringKey()

const SHORTEST = {
  BULLA_PUBLIC_URL: 'https://app.example',
  BULLA_ISSUER: 'https://id.example/realms/a',
  BULLA_CLIENT_ID: 'app',
  BULLA_CLIENT_SECRET: 'Zq8-dz7r4Tn0',
  BULLA_KEYS: KEY
}

function problemsOf (source: ConfigSource): readonly string[] {
  try {
    loadConfig(source)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

const faultsOf = (env: Record<string, string>): readonly string[] =>
  problemsOf({ env: { ...SHORTEST, ...env } })
const faultsIn = (settings: Record<string, unknown>): readonly string[] => {
  const { BULLA_PUBLIC_URL, BULLA_ISSUER, BULLA_CLIENT_ID, BULLA_CLIENT_SECRET } = SHORTEST
  return problemsOf({
    settings: {
      public_url: BULLA_PUBLIC_URL,
      issuer: BULLA_ISSUER,
      client_id: BULLA_CLIENT_ID,
      client_secret: BULLA_CLIENT_SECRET,
      keys: [KEY],
      ...settings
    }
  })
}

t.test('five variables are enough, and the defaults are those of the contract', async (t) => {
  const config = loadConfig({ env: SHORTEST })
  t.match(config, {
    public_url: 'https://app.example',
    host: '0.0.0.0',
    port: 3000,
    client_auth: 'client_secret_basic',
    scope: 'openid profile email offline_access',
    base_path: '/bff',
    default_return_to: '/',
    post_logout_page: '/',
    session: { max_age: 43_200, idle_timeout: 0 },
    refresh: { ahead: 60 },
    cookie: { same_site: 'strict', budget: 7000 },
    csrf: { header: 'x-csrf' },
    admin: { host: '127.0.0.1', port: 9464 },
    log: { level: 'info' },
    keys: [KEY],
    routes: []
  })
})

t.test('a configuration cannot be changed', async (t) => {
  const config = loadConfig({ env: SHORTEST })
  t.throws(() => { config.session.max_age = 1 }, TypeError)
  t.throws(() => { config.keys.push('x') }, TypeError)
})

t.test('every scalar has a variable, units are read, an empty variable is unset', async (t) => {
  const config = loadConfig({
    env: {
      ...SHORTEST,
      BULLA_SESSION_MAX_AGE: '7d',
      BULLA_SESSION_IDLE_TIMEOUT: '15m',
      BULLA_REFRESH_AHEAD: '90',
      BULLA_COOKIE_BUDGET: '10kb',
      BULLA_CLAIMS: 'name, email',
      BULLA_ADMIN_PORT: 'off',
      BULLA_ROUTES: '/api=https://api.internal/v2,/files=http://127.0.0.1:9',
      BULLA_SPA: '',
      HOST: '127.0.0.1',
      PORT: '0'
    }
  })
  t.match(config, {
    session: { max_age: 604_800, idle_timeout: 900 },
    refresh: { ahead: 90 },
    cookie: { budget: 10_240 },
    claims: ['name', 'email'],
    admin: { port: -1 },
    routes: [
      { prefix: '/api', upstream: 'https://api.internal/v2', token: 'user', timeout: 30, body_limit: 10_485_760 },
      { prefix: '/files', upstream: 'http://127.0.0.1:9' }
    ],
    host: '127.0.0.1',
    port: 0
  })
  t.equal(config.spa, undefined)
})

t.test('a YAML file gives the settings, the environment wins', async (t) => {
  const folder = t.testdir({
    'bulla.yaml': `
public_url: https://app.example/
issuer: https://id.example
client_id: from-file
client_secret_file: ${t.testdirName}/secret
session: { max_age: 1h }
routes:
  - prefix: /api
    upstream: https://api.internal
    timeout: 5s
    body_limit: 1mb
    request_headers: { set: { X-App: shop }, remove: [x-debug] }
`,
    secret: 'Zq8-dz7r4Tn0\n',
    keys: `${KEY}\n${ringKey()}\n`
  })
  const config = loadConfig({
    env: {
      BULLA_CONFIG: `${folder}/bulla.yaml`, BULLA_CLIENT_ID: 'from-env', BULLA_KEYS_FILE: `${folder}/keys`
    }
  })
  t.match(config, {
    public_url: 'https://app.example',
    client_id: 'from-env',
    client_secret: 'Zq8-dz7r4Tn0',
    session: { max_age: 3600 },
    routes: [{ timeout: 5, body_limit: 1_048_576, request_headers: { set: { 'X-App': 'shop' }, remove: ['x-debug'] } }]
  })
  t.equal(config.keys.length, 2)
})

t.test('all problems are told at once, each naming its setting', async (t) => {
  const problems = problemsOf({ env: { BULLA_PUBLIC_URL: 'http://app.example', BULLA_SESSION_MAX_AGE: 'long', PORT: '70000' } })
  for (const setting of ['public_url', 'issuer', 'client_id', 'client_secret', 'keys', 'session.max_age', 'port']) {
    t.ok(problems.some((problem) => problem.startsWith(`${setting} `)), `${setting} is named`)
  }
})

t.test('an unknown setting or variable is an error that names the nearest', async (t) => {
  t.match(faultsOf({ BULLA_CLIENT_SECRT: 'x' }), ['BULLA_CLIENT_SECRT is no variable of Bulla: did you mean BULLA_CLIENT_SECRET?'])
  t.match(faultsOf({ BULLA_ZZZZZZZZZZZZZZZZZ: 'x' }), ['BULLA_ZZZZZZZZZZZZZZZZZ is no variable of Bulla.'])
  t.match(faultsIn({ publik_url: 'x' }), ['publik_url is no setting: did you mean public_url?'])
  t.match(faultsIn({ session: { max_agee: '1h' } }), [/^session\.max_agee is no setting/])
  t.match(faultsIn({ routes: [{ prefix: '/a', upstream: 'https://a.internal', tokn: 'user' }] }), [/^routes\.0\.tokn is no setting/])
})

t.test('S46 COK-14 plain http is for loopback only, for the app and for the issuer', async (t) => {
  t.match(faultsOf({ BULLA_PUBLIC_URL: 'http://app.example' }), [/^public_url must be https/])
  t.match(faultsOf({ BULLA_ISSUER: 'http://id.example' }), [/^issuer must be https/])
  t.strictSame(faultsOf({ BULLA_PUBLIC_URL: 'http://localhost:3000', BULLA_ISSUER: 'http://127.0.0.1:3001' }), [])
  t.strictSame(faultsOf({ BULLA_PUBLIC_URL: 'http://app.localhost:3000', BULLA_ISSUER: 'http://[::1]:3001' }), [])
})

t.test('public_url is an origin and nothing more', async (t) => {
  for (const url of ['https://app.example/x', 'https://app.example?x', 'https://u:p@app.example', 'https://app.example:443']) {
    t.match(faultsOf({ BULLA_PUBLIC_URL: url }), [/^public_url must be an origin only/], url)
  }
  t.match(faultsOf({ BULLA_PUBLIC_URL: 'app.example' }), [/^public_url must be a URL/])
  t.match(faultsOf({ BULLA_PUBLIC_URL: 'ftp://app.example' }), [/^public_url must be a URL/])
})

t.test('SEA-07/08 weak, short, repeated and placeholder secrets are refused', async (t) => {
  t.match(faultsOf({ BULLA_KEYS: 'c2hvcnQ' }), [/^keys: key 1 has 5 bytes instead of 32/])
  t.match(faultsOf({ BULLA_KEYS: Buffer.alloc(32, 7).toString('base64url') }), [/^keys: key 1 is not random/])
  t.match(faultsOf({ BULLA_KEYS: `${KEY},${KEY}` }), [/^keys: a key is listed twice/])
  t.match(faultsOf({ BULLA_KEYS: 'not base64url!' }), [/^keys: key 1 is not base64url/])
  t.match(faultsOf({ BULLA_CLIENT_SECRET: 'changeme' }), [/^client_secret is a placeholder/])
  t.match(faultsIn({ keys: [] }), [/^keys is required/])
  t.strictSame(faultsOf({ BULLA_KEYS: randomBytes(32).toString('base64').replaceAll('+', '-').replaceAll('/', '_') }), [])
})

t.test('a secret and its file exclude each other, and a file must be there', async (t) => {
  const folder = t.testdir({ secret: 'x' })
  t.match(faultsOf({ BULLA_CLIENT_SECRET_FILE: `${folder}/secret` }), [/^client_secret and client_secret_file are both set/])
  const { BULLA_KEYS, ...rest } = SHORTEST
  t.match(problemsOf({ env: { ...rest, BULLA_KEYS_FILE: `${folder}/none` } }), [/^keys_file cannot be read/])
  t.match(faultsOf({ BULLA_CONFIG: `${folder}/none` }), [/cannot be read/])
  t.match(problemsOf({ env: SHORTEST, file: t.testdir({ 'a.yaml': '- 1' }) + '/a.yaml' }), [/must hold a mapping/])
})

t.test('values of another kind are refused with the setting\'s name', async (t) => {
  t.match(faultsOf({ PORT: 'eighty' }), [/^port must be a whole number/])
  t.match(faultsOf({ BULLA_COOKIE_BUDGET: 'big' }), [/^cookie\.budget must be a size/])
  t.match(faultsOf({ BULLA_COOKIE_BUDGET: '15000' }), [/^cookie\.budget /])
  t.match(faultsOf({ BULLA_CLIENT_AUTH: 'none' }), [/^client_auth must be one of client_secret_basic/])
  t.match(faultsOf({ BULLA_ID_TOKEN_SIGNING_ALG: 'none' }), [/^id_token_signing_alg names none/])
  t.match(faultsOf({ BULLA_ID_TOKEN_SIGNING_ALG: 'HS256' }), [/^id_token_signing_alg names HS256/])
  t.match(faultsOf({ BULLA_SCOPE: 'profile' }), [/^scope must contain openid/])
  t.match(faultsIn({ session: 'long' }), [/^session /])
  t.match(faultsIn({ routes: '/api' }), [/^routes\.0\.upstream is required/])
})

t.test('paths and prefixes are local and unambiguous', async (t) => {
  t.match(faultsOf({ BULLA_BASE_PATH: 'bff' }), [/^base_path /])
  t.match(faultsOf({ BULLA_DEFAULT_RETURN_TO: '//evil.example' }), [/^default_return_to /])
  t.match(faultsOf({ BULLA_POST_LOGOUT_PAGE: 'https://evil.example' }), [/^post_logout_page /])
  const route = (over: object): readonly string[] => faultsIn({ routes: [{ prefix: '/api', upstream: 'https://a.internal', ...over }] })
  t.match(route({ prefix: 'api' }), [/^routes\.0\.prefix must be a path/])
  t.match(route({ prefix: '/api/' }), [/^routes\.0\.prefix must be a path/])
  t.match(route({ prefix: '/a/..' }), [/^routes\.0\.prefix must be a path/])
  t.match(route({ prefix: '/bff/api' }), [/^routes\.0\.prefix lies under base_path/])
  t.match(route({ upstream: 'https://u:p@a.internal' }), [/^routes\.0\.upstream /])
  t.match(route({ upstream: 'api.internal' }), [/^routes\.0\.upstream /])
  t.match(route({ rewrite_prefix: 'v1' }), [/^routes\.0\.rewrite_prefix /])
  t.match(route({ methods: ['get'] }), [/^routes\.0\.methods names get/])
  t.match(route({ methods: ['TRACE'] }), [/^routes\.0\.methods names TRACE/])
  t.match(route({ cache: 'public' }), [/^routes\.0\.cache can be public only/])
  t.match(faultsIn({ routes: [{ prefix: '/a', upstream: 'https://a.b' }, { prefix: '/a', upstream: 'https://a.c' }] }),
    [/^routes\.1\.prefix \/a is taken/])
})

t.test('BBA-06/07 COK-14 a cookie prefix keeps its guarantees', async (t) => {
  t.match(faultsOf({ BULLA_COOKIE_PREFIX: 'bulla' }), [/^cookie\.prefix must start with __Host-/])
  t.match(faultsOf({ BULLA_COOKIE_PREFIX: '__Host-a;b' }), [/^cookie\.prefix must be 1 to 64/])
  t.match(faultsOf({ BULLA_COOKIE_PREFIX: '__Host-x', BULLA_PUBLIC_URL: 'http://localhost:1' }), [/^cookie\.prefix: browsers refuse/])
  t.strictSame(faultsOf({ BULLA_COOKIE_PREFIX: '__Host-shop' }), [])
})

t.test('the CSRF header is one that other pages cannot send, and a session always ends', async (t) => {
  for (const header of ['accept', 'Content-Type', 'sec-fetch-site', 'user-agent', 'x csrf', '']) {
    t.match(problemsOf({ env: { ...SHORTEST, BULLA_CSRF_HEADER: header } }).join(), header === '' ? /^$/ : /csrf\.header must/, header)
  }
  for (const age of ['off', '0s', '401d']) {
    t.match(problemsOf({ env: { ...SHORTEST, BULLA_SESSION_MAX_AGE: age } }).join(), /session\.max_age must be from 1s/, age)
  }
  t.strictSame(problemsOf({ env: { ...SHORTEST, BULLA_SESSION_MAX_AGE: '400d', BULLA_CSRF_HEADER: 'X-Requested-With' } }), [])
})

t.test('S20 trusted proxies are addresses or ranges', async (t) => {
  t.strictSame(faultsOf({ BULLA_TRUSTED_PROXIES: '10.0.0.0/8,::1,192.0.2.7' }), [])
  for (const entry of ['proxy.internal', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '1']) {
    t.match(faultsOf({ BULLA_TRUSTED_PROXIES: entry }), [/^trusted_proxies: /], entry)
  }
})

t.test('files that settings name must be there', async (t) => {
  t.match(faultsOf({ BULLA_UPSTREAM_CA: '/nowhere/ca.pem' }), [/^upstream_ca: the file/])
  t.match(faultsOf({ BULLA_SPA: '/nowhere/dist' }), [/^spa: the folder/])
})

t.test('BBA-01 no secret appears in what is said of it', async (t) => {
  const secret = 'c2VjcmV0LXNlY3JldA'
  const said = problemsOf({ env: { ...SHORTEST, BULLA_KEYS: secret, BULLA_CLIENT_SECRET: '' } }).join('\n')
  t.notMatch(said, secret)
  t.match(said, /^client_secret is required/m)
})
