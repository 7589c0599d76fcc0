// The OpenID Foundation's relying-party modules for the code flow, each by its name, against our own
// provider.
import t from 'tap'
import { createProviderHttp } from '../../src/oidc/http.ts'
import { BAD_ID_TOKENS, ODD_BUT_RIGHT } from '../support/mutations.ts'
import { loginCookies, sessionCookies, sessionValues, stage, whoIs } from '../support/login.ts'

/** Our names for the modules, and further rules that a case holds. */
const IDS: Record<string, string> = {
  'invalid-iss': 'oidcc-client-test-invalid-iss IDT-02',
  'iss-trailing-slash': 'IDT-02',
  'missing-iss': 'fapi2 invalid-missing-iss IDT-02',
  'missing-sub': 'oidcc-client-test-missing-sub IDT-13',
  'empty-sub': 'IDT-13',
  'number-sub': 'IDT-13',
  'long-sub': 'IDT-13',
  'invalid-aud': 'oidcc-client-test-invalid-aud IDT-03 S32',
  'missing-aud': 'oidcc-client-test-missing-aud IDT-03',
  'invalid-secondary-aud': 'fapi2 invalid-secondary-aud IDT-03',
  'invalid-secondary-aud-with-azp': 'IDT-03',
  'invalid-azp': 'IDT-04',
  'missing-iat': 'oidcc-client-test-missing-iat IDT-08',
  'iat-next-year': 'IDT-08',
  'iat-is-week-in-past': 'fapi1 iat-is-week-in-past IDT-08',
  'invalid-expired-exp': 'fapi2 invalid-expired-exp IDT-07',
  'invalid-missing-exp': 'fapi2 invalid-missing-exp IDT-07',
  'string-exp': 'IDT-07',
  'invalid-nonce': 'IDT-09 AUT-04 oidcc-client-test-nonce-invalid',
  'invalid-missing-nonce': 'IDT-09 fapi2 invalid-missing-nonce',
  'invalid-athash': 'IDT-12 oidcc-client-test-invalid-athash',
  'invalid-sig-rs256': 'oidcc-client-test-invalid-sig-rs256 IDT-05',
  'foreign-key': 'IDT-05',
  'idtoken-sig-none': 'oidcc-client-test-idtoken-sig-none IDT-06',
  'idtoken-sig-none-mixed-case': 'IDT-06',
  'invalid-sig-hs256': 'oidcc-client-test-invalid-sig-hs256 IDT-06',
  'invalid-alternate-alg': 'fapi2 invalid-alternate-alg IDT-06',
  'typ-logout-token': 'IDT-17',
  'typ-access-token': 'IDT-17',
  'events-claim': 'IDT-17',
  'unknown-crit': 'IDT-18',
  'encrypted-id-token': 'fapi1 encrypted-id-token IDT-16',
  'no-id-token': 'IDT-01',
  'idtoken-sig-rs256': 'oidcc-client-test-idtoken-sig-rs256',
  'kid-absent-single-jwks': 'DIS-04 oidcc-client-test-kid-absent-single-jwks',
  'kid-absent-multiple-jwks': 'DIS-04 oidcc-client-test-kid-absent-multiple-jwks',
  'decoy-key-same-kid': 'DIS-05',
  'decoy-key-same-kid-for-encryption': 'DIS-05',
  'valid-aud-as-array': 'fapi2 valid-aud-as-array IDT-03',
  'jku-header': 'IDT-18',
  'token-type-case-insensitivity': 'AUT-27 fapi2 token-type-case-insensitivity',
  'token-endpoint-response-without-expires_in': 'fapi2 token-endpoint-response-without-expires_in AUT-28',
  'token-endpoint-response-with-string-expires_in': 'AUT-28',
  'token-endpoint-response-with-zero-expires_in': 'AUT-28',
  'no-scope-in-token-endpoint-response': 'fapi1 no-scope-in-token-endpoint-response',
  'less-scope-than-asked': 'AUT-33',
  'unknown-token-response-members': 'AUT-26',
  'unknown-response-parameters': 'AUT-26',
  'no-refresh-token': 'REF-21',
  'metadata-without-pkce': 'AUT-03',
  'metadata-plain-pkce-only': 'AUT-03'
}

t.test('AUT-02 oidcc-client-test a login ends with a session, and the client did nothing wrong', async (t) => {
  const { provider, browser, login, url } = await stage(t, { settings: { userinfo: true } })
  const person = browser()
  const answer = await login(person, '?return_to=%2Forders')
  t.equal(answer.url.pathname, '/orders')
  t.match(await whoIs(person, url), { authenticated: true, sub: 'u1', claims: { name: 'Nanni' } })
  t.match([provider.count('authorize'), provider.count('token'), provider.count('userinfo')], [1, 1, 1])
  t.strictSame(provider.problems, [], 'oidcc-client-test-client-secret-basic, -nonce-unless-code-flow, -userinfo-bearer-header')
  t.strictSame(loginCookies(person), [])
})

t.test('ID tokens that must be refused', async (t) => {
  const { provider, browser, login } = await stage(t)
  for (const name of Object.keys(BAD_ID_TOKENS)) {
    await t.test(`${IDS[name] ?? ''} ${name}: no session, the tokens revoked (REV-04)`, async (t) => {
      provider.mutate(name)
      const person = browser()
      const [calls, revoked] = [provider.count('token'), provider.count('revoke')]
      const answer = await login(person)
      t.equal(answer.status, 400)
      t.equal(answer.headers['bulla-error'], 'callback_invalid')
      t.match(answer.headers['content-type'], /^text\/html/)
      t.strictSame(sessionCookies(person), [])
      t.strictSame(loginCookies(person), [])
      t.equal(provider.count('token'), calls + 1, 'one token call')
      await provider.reaches('revoke', revoked + 2)
      const hints = provider.calls.filter(({ endpoint }) => endpoint === 'revoke').slice(-2)
      t.strictSame(hints.map(({ params }) => params.get('token_type_hint')), ['refresh_token', 'access_token'])
      t.equal(provider.count('userinfo'), 0)
    })
  }
  t.strictSame(provider.problems, [])
})

t.test('what is odd but right', async (t) => {
  for (const name of Object.keys(ODD_BUT_RIGHT)) {
    await t.test(`${IDS[name] ?? ''} ${name}: a session`, async (t) => {
      const { provider, browser, login, url } = await stage(t, { mutations: [name] })
      const person = browser()
      await login(person)
      t.match(await whoIs(person, url), { authenticated: true, sub: 'u1' })
      t.strictSame(provider.problems, [])
    })
  }
})

t.test('oidcc-client-test-invalid-sig-es256 ES256 is verified where it is allowed', async (t) => {
  const { provider, browser, login, url } = await stage(t, { settings: { id_token_signing_alg: ['RS256', 'ES256'] } })
  provider.mutate('es256')
  const person = browser()
  await login(person)
  t.match(await whoIs(person, url), { authenticated: true })
  provider.mutate('invalid-sig-es256')
  const other = browser()
  t.equal((await login(other)).headers['bulla-error'], 'callback_invalid')
  t.strictSame(sessionCookies(other), [])
})

t.test('oidcc-client-test-signing-key-rotation DIS-03 a new key is found, also just after the keys were fetched', async (t) => {
  const { provider, browser, login, url } = await stage(t)
  await login(browser())
  t.equal(provider.count('jwks'), 1)
  provider.rotate('second')
  const person = browser()
  await login(person)
  t.match(await whoIs(person, url), { authenticated: true })
  t.equal(provider.count('jwks'), 2)
})

t.test('oidcc-client-test-signing-key-rotation-just-before-signing DIS-03 and a flood of unknown keys costs few fetches', async (t) => {
  const { provider, browser, login, url } = await stage(t)
  await login(browser())
  for (let index = 0; index < 12; index++) {
    provider.also({ header: (header) => ({ ...header, kid: `made-up-${index}` }) })
    await login(browser())
  }
  t.ok(provider.count('jwks') <= 5, `${provider.count('jwks')} fetches`)
  provider.mutate()
  const person = browser()
  await login(person)
  t.match(await whoIs(person, url), { authenticated: true })
})

t.test('userinfo', async (t) => {
  const refused = ['userinfo-invalid-sub', 'userinfo-missing-sub', 'userinfo-signed-wrong-aud', 'userinfo-signed-wrong-iss']
  const { provider, browser, login, url } = await stage(t, { settings: { userinfo: true, claims: ['name', 'email', 'address'] } })
  for (const name of refused) {
    await t.test(`oidcc-client-test-userinfo-invalid-sub IDT-14 IDT-15 ${name}: refused, tokens revoked`, async (t) => {
      provider.mutate(name)
      const person = browser()
      const revoked = provider.count('revoke')
      t.equal((await login(person)).headers['bulla-error'], 'callback_invalid')
      t.strictSame(sessionCookies(person), [])
      await provider.reaches('revoke', revoked + 2)
    })
  }
  await t.test('oidcc-client-test-userinfo-signed IDT-15 a signed answer with a broken signature is refused', async (t) => {
    provider.mutate('userinfo-signed')
    const person = browser()
    await login(person)
    t.match(await whoIs(person, url), { claims: { email: 'nanni@example.org' } })
    provider.also({ userinfo: (claims) => { provider.also({ spoil: 'signature' }); return claims } })
    t.equal((await login(browser())).headers['bulla-error'], 'callback_invalid')
  })
  await t.test('oidcc-client-test-scope-userinfo-claims the allow-list decides what the session shows', async (t) => {
    provider.mutate()
    const person = browser()
    await login(person)
    t.strictSame((await whoIs(person, url)).claims, { name: 'Nanni', email: 'nanni@example.org', address: { locality: 'Ur' } })
  })
})

t.test('userinfo adds claims to show: of the login itself the ID token alone speaks', async (t) => {
  const { app, provider, browser, login, url } = await stage(t, { settings: { userinfo: true } })
  provider.also({
    claims: ({ sid: _none, ...claims }) => claims,
    userinfo: (claims) => ({ ...claims, sid: 'of-another-session', auth_time: 1, email: 'nanni@example.org' })
  })
  const person = browser()
  await login(person)
  const cookie = sessionValues(person)
  const request = { headers: { cookie } } as unknown as Parameters<typeof app.sessions.read>[0]
  const session = app.sessions.read(request).session?.whole()
  t.match(session, { subject: 'u1', claims: { name: 'Nanni', email: 'nanni@example.org' } })
  t.notOk(session?.providerSid)
  t.not(session?.authTime, 1)
  t.match(await whoIs(person, url), { authenticated: true })
})

t.test('userinfo that is away costs its claims, not the login', async (t) => {
  const http = createProviderHttp({ timeout: 300 })
  t.teardown(async () => { await http.close() })
  const { browser, login, url } = await stage(t, {
    mutations: ['userinfo-hangs'], deps: { fetch: http.fetch }, settings: { userinfo: true }
  })
  const person = browser()
  await login(person)
  t.strictSame((await whoIs(person, url)).claims, { name: 'Nanni', roles: ['merchant'] })
})
