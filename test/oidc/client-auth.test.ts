// How the client shows who it is, at a provider that checks it strictly; and that TLS is checked the other
// way.
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig, type ConfigError } from '../../src/config/load.ts'
import { createProviderHttp } from '../../src/oidc/http.ts'
import { readClientKey } from '../../src/lib/client-key.ts'
import { ringKey } from '../support/build.ts'
import { stage, whoIs } from '../support/login.ts'

const pemOf = (key: KeyObject): string =>
  key.export({ type: key.type === 'public' ? 'spki' : 'pkcs8', format: 'pem' } as { type: 'pkcs8', format: 'pem' }).toString()

/** Logs in, then lets the client refresh and revoke too: every back-channel call authenticates. */
async function everyCall (t: Test, options: Parameters<typeof stage>[1]): Promise<string[]> {
  const { provider, browser, login, url } = await stage(t, options)
  const person = browser()
  await login(person)
  person.url = new URL(url)
  t.match(await whoIs(person, url), { authenticated: true })
  t.equal((await person.fetch('/bff/refresh', { method: 'POST' })).status, 200)
  await person.fetch('/bff/logout', { method: 'POST' })
  await provider.reaches('revoke', 1)
  return provider.problems
}

t.test('AUT-30/31 REF-01 BBA-01 client_secret_basic is form-encoded first, whatever characters the secret has', async (t) => {
  t.strictSame(await everyCall(t, { rules: { clientId: 'an app:é', clientSecret: 'a:b+c%/é ~*\'&=' } }), [])
})

t.test('AUT-30/31 client_secret_post puts the credentials in the body alone', async (t) => {
  t.strictSame(await everyCall(t, {
    rules: { method: 'client_secret_post', clientSecret: 'a:b+c%/é &=' }, settings: { client_auth: 'client_secret_post' }
  }), [])
})

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')
const keys: Array<[string, string, KeyObject]> = [
  ['an RSA key in PEM', pemOf(rsa.privateKey), rsa.publicKey],
  ['an RSA key in PKCS #1 PEM', rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(), rsa.publicKey],
  ['an EC key in PEM', pemOf(ec.privateKey), ec.publicKey],
  ['an EC key as JWK', JSON.stringify({ ...ec.privateKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256' }), ec.publicKey],
  ['an RSA key as JWK for PS256', JSON.stringify({ ...rsa.privateKey.export({ format: 'jwk' }), alg: 'PS256' }), rsa.publicKey],
  ['an Ed25519 key', pemOf(ed.privateKey), ed.publicKey]
]

for (const [name, clientKey, publicKey] of keys) {
  t.test(`PKJ-01 PKJ-02 PKJ-03 private_key_jwt with ${name}: aud is the issuer, typ is named, each jti is fresh`, async (t) => {
    t.strictSame(await everyCall(t, {
      rules: { method: 'private_key_jwt', publicKey: pemOf(publicKey) },
      settings: { client_auth: 'private_key_jwt', client_secret: undefined, client_key: clientKey }
    }), [])
  })
}

t.test('a client key that cannot sign is refused at the start', async (t) => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
  for (const bad of ['', 'x', '{', '{}', pemOf(rsa.publicKey), pemOf(small), pemOf(generateKeyPairSync('x25519').privateKey),
    JSON.stringify({ ...ec.privateKey.export({ format: 'jwk' }), alg: 'ES512' })]) {
    t.throws(() => readClientKey(bad), bad.slice(0, 20))
  }
})

const base = { public_url: 'https://app.example', issuer: 'https://login.example', client_id: 'app', keys: [ringKey()] }

function problemsOf (settings: Record<string, unknown>): readonly string[] {
  try {
    loadConfig({ settings: { ...base, ...settings } })
    return []
  } catch (error) {
    return (error as ConfigError).problems
  }
}

t.test('BBA-01 the settings of a login are checked against one another', async (t) => {
  const secret = { client_secret: 'a-client-secret-of-a-test' }
  const key = pemOf(ec.privateKey)
  t.strictSame(problemsOf({ client_auth: 'private_key_jwt', client_key: key }), [])
  t.strictSame(problemsOf({ client_auth: 'private_key_jwt', client_key_file: join(t.testdir({ key }), 'key') }), [])
  t.match(problemsOf({}), [/^client_secret is required/])
  t.match(problemsOf({ client_secret: 'changeme' }), [/^client_secret is a placeholder/])
  t.match(problemsOf({ client_auth: 'private_key_jwt', ...secret }), [/^client_key is required/])
  t.match(problemsOf({ client_auth: 'private_key_jwt', client_key: 'x' }), [/^client_key is no private key/])
  t.match(problemsOf({ ...secret, login_params: ['prompt', 'redirect_uri'] }), [/^login_params names redirect_uri/])
  t.match(problemsOf({ ...secret, authorization_params: { state: 'x' } }), [/^authorization_params.state/])
  for (const uri of ['/signed-in', 'https://app.example/signed-in?x=1']) t.strictSame(problemsOf({ ...secret, spa_redirect_uri: uri }), [])
  for (const uri of ['//evil.example', 'https://evil.example/', '/bff/callback', '/a#b', 'signed-in']) {
    t.match(problemsOf({ ...secret, spa_redirect_uri: uri }), [/^spa_redirect_uri/], uri)
  }
  t.match(problemsOf({ ...secret, response_mode: 'fragment' }), [/^response_mode must be one of/])
})

t.test('AUT-24 the provider\'s certificate is checked; a CA of one\'s own can be named', async (t) => {
  const folder = t.testdir()
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost', '-keyout', keyFile, '-out', certFile], { stdio: 'ignore' })
  const server = createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, (_request, response) => { response.end('{}') })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const { port } = server.address() as AddressInfo
  const [plain, knowing] = [createProviderHttp(), createProviderHttp({ caFile: certFile })]
  t.teardown(async () => { await Promise.all([plain.close(), knowing.close()]) })
  await t.rejects(plain.fetch(`https://localhost:${port}/`, {}), 'self-signed')
  await t.rejects(knowing.fetch(`https://127.0.0.1:${port}/`, {}), 'another name')
  t.equal((await knowing.fetch(`https://localhost:${port}/`, {})).status, 200)
})
