// The answer of the provider: forged, broken, refused or lost, it never costs a session and never leaks.
import t, { type Test } from 'tap'
import { createProviderHttp } from '../../src/oidc/http.ts'
import { BAD_ANSWERS, TOKEN_FAULTS } from '../support/mutations.ts'
import { loginCookies, sessionCookies, sessionValues, stage, whoIs, type Stage } from '../support/login.ts'
import type { Answer, Browser } from '../support/browser-jar.ts'

const MODULES: Record<string, string> = {
  'invalid-authorization-response-iss': 'fapi2 invalid-authorization-response-iss AUT-12 S26',
  'authorization-response-iss-slash': 'AUT-12',
  'remove-authorization-response-iss': 'fapi2 remove-authorization-response-iss AUT-13',
  'empty-authorization-response-iss': 'AUT-13 AUT-14',
  'authorization-response-with-invalid-state': 'fapi2 ensure-authorization-response-with-invalid-state-fails AUT-07',
  'authorization-response-with-missing-state': 'fapi2 ensure-authorization-response-with-invalid-missing-state-fails',
  'response-with-access-token': 'BBA-02',
  'response-with-id-token': 'BBA-02',
  'doubled-code': 'CBE-09 S34',
  'doubled-state': 'CBE-09 S34',
  'doubled-iss': 'CBE-09 S34',
  'doubled-error': 'CBE-09 S34',
  'code-array': 'CBE-09',
  'code-then-empty-code': 'CBE-09',
  'empty-code': 'CBE-10',
  'no-code': 'CBE-08',
  'jarm-when-query-expected': 'CBE-13 JRM-02'
}

/** A page that a person understands, and nothing that could be kept or leak. */
function isErrorPage (t: Test, answer: Answer): void {
  t.match(answer.headers['content-type'], /^text\/html/)
  t.equal(answer.headers['cache-control'], 'no-store', 'CBE-18')
  t.equal(answer.headers['referrer-policy'], 'no-referrer', 'AUT-22')
  t.notMatch(answer.text, /<script/i)
  t.match(answer.text, /<a href="[^"]*">(?:Try again|Log in)<\/a>/)
}

t.test('answers that must be refused', async (t) => {
  const { provider, browser, login } = await stage(t)
  const person = browser()
  await login(person)
  const before = sessionValues(person)
  for (const name of Object.keys(BAD_ANSWERS)) {
    await t.test(`${MODULES[name] ?? ''} CBE-04/16 ${name}: no token call, the live session is kept`, async (t) => {
      provider.mutate(name)
      const calls = provider.count('token')
      const answer = await login(person)
      t.match([answer.status, answer.headers['bulla-error']], [400, 'callback_invalid'])
      isErrorPage(t, answer)
      t.equal(provider.count('token'), calls)
      t.equal(sessionValues(person), before, 'KEEP')
    })
  }
  t.strictSame(provider.problems, [])
})

const REFUSALS: Record<string, [number, string]> = {
  access_denied: [403, 'login_denied'],
  server_error: [503, 'idp_unavailable'],
  temporarily_unavailable: [503, 'idp_unavailable'],
  login_required: [403, 'login_denied'],
  unmet_authentication_requirements: [403, 'login_denied'],
  ...Object.fromEntries([
    'invalid_request', 'unauthorized_client', 'unsupported_response_type', 'invalid_scope', 'request_not_supported',
    'invalid_request_uri', 'invalid_request_object', 'registration_not_supported', 'made_up_by_somebody'
  ].map((error) => [error, [502, 'idp_misconfigured']]))
}

t.test('refusals of the provider', async (t) => {
  const { provider, browser, login } = await stage(t)
  const person = browser()
  await login(person)
  const before = sessionValues(person)
  for (const [error, [status, code]] of Object.entries(REFUSALS)) {
    await t.test(`CBE-01 CBE-11 CBE-16 ${error} is ${code}: one request, no token call, the session kept`, async (t) => {
      provider.mutate(`error:${error}`)
      const [asked, calls] = [provider.count('authorize'), provider.count('token')]
      const answer = await login(person, '?return_to=%2Forders')
      t.match([answer.status, answer.headers['bulla-error']], [status, code])
      isErrorPage(t, answer)
      t.match(answer.text, /href="[^"]*\/bff\/login\?return_to=%2Forders"/, 'the way on begins where the login began')
      t.match([provider.count('authorize'), provider.count('token')], [asked + 1, calls], 'CBE-02 no loop')
      if (status === 503) t.match(answer.headers['retry-after'], /^\d+$/)
      t.strictSame(loginCookies(person), [])
      t.equal(sessionValues(person), before)
    })
  }
})

t.test('AUT-15 an error of another issuer is a forgery, whatever it says', async (t) => {
  const { provider, browser, login } = await stage(t)
  provider.mutate('error:access_denied', 'invalid-authorization-response-iss')
  const answer = await login(browser())
  t.equal(answer.headers['bulla-error'], 'callback_invalid')
})

t.test('CBE-07 an error beside a code wins, and the code is not used', async (t) => {
  const { provider, browser, login } = await stage(t)
  provider.also({ answer: (params) => [...Object.entries(params), ['error', 'access_denied']] })
  const answer = await login(browser())
  t.equal(answer.headers['bulla-error'], 'login_denied')
  t.equal(provider.count('token'), 0)
})

t.test('CBE-06 S44 what the provider says is never shown, linked to or logged', async (t) => {
  const lines: string[] = []
  const logger = { level: 'trace', stream: { write: (line: string) => { lines.push(line) } } }
  const { provider, browser, login } = await stage(t, { deps: { logger } })
  provider.also({
    error: 'access_denied<script>alert(1)</script>',
    answer: (params) => [...Object.entries(params),
      ['error_description', `"><script>alert(2)</script>\r\nforged: line ${'x'.repeat(2000)}`], ['error_uri', 'javascript:alert(3)']]
  })
  const answer = await login(browser())
  t.equal(answer.headers['bulla-error'], 'idp_misconfigured')
  t.notMatch(answer.text, /alert|javascript:|forged/)
  t.notMatch(lines.join(''), /alert|forged/)
  t.notMatch(lines.join(''), /state=|code=/, 'PRX-33 S46')
})

t.test('CBE-05 an error with a wrong or missing state touches no cookie and starts no login', async (t) => {
  const { provider, browser, login, url } = await stage(t)
  const person = browser()
  await login(person)
  const before = sessionValues(person)
  const asked = provider.count('authorize')
  const evil = person.tab()
  evil.url = new URL('https://evil.example/')
  for (const query of ['error=access_denied', 'error=access_denied&state=x', `error=login_required&state=${'A'.repeat(43)}`, 'code=x']) {
    const answer = await evil.navigate(`${url}/bff/callback?${query}`)
    t.match([answer.status, answer.headers['bulla-error']], [400, 'callback_invalid'], query)
    t.strictSame(answer.setCookies, [])
  }
  t.equal(sessionValues(person), before)
  t.equal(provider.count('authorize'), asked)
})

t.test('S38 whatever comes to the callback, the answer is a 4xx', async (t) => {
  const { browser, url } = await stage(t)
  const person = browser()
  const queries = ['', '?', '?state', '?code=%zz&state=%', '?state=%ff', `?state=${'x'.repeat(7000)}`, '?__proto__=1&state=a',
    '?state=a%00b', '?%00', '?response=a.b.c', '?state=../../x', '?code=1&code=2&code=3', '?iss=%E2%80%A8']
  for (const query of queries) {
    const answer = await person.open(`${url}/bff/callback${query}`)
    t.equal(Math.floor(answer.status / 100), 4, query.slice(0, 40))
  }
})

const FAULTS: Record<string, [number, string]> = {
  'token-500': [503, 'idp_unavailable'],
  'token-503-html': [503, 'idp_unavailable'],
  'token-429': [503, 'idp_unavailable'],
  'token-200-html': [503, 'idp_unavailable'],
  'token-200-truncated': [503, 'idp_unavailable'],
  'token-302': [503, 'idp_unavailable'],
  'token-307': [503, 'idp_unavailable'],
  'token-invalid-grant': [400, 'callback_invalid'],
  'token-type-mac': [400, 'callback_invalid'],
  'token-negative-expires-in': [400, 'callback_invalid'],
  'token-no-access-token': [400, 'callback_invalid']
}

t.test('faults of the token endpoint', async (t) => {
  const { provider, browser, login } = await stage(t)
  for (const name of Object.keys(TOKEN_FAULTS)) {
    const [status, code] = FAULTS[name] ?? [502, 'idp_misconfigured']
    await t.test(`AUT-20 AUT-25 ${name} is ${code}, after one call`, async (t) => {
      provider.mutate(name)
      const calls = provider.count('token')
      const person = browser()
      const answer = await login(person)
      t.match([answer.status, answer.headers['bulla-error']], [status, code])
      isErrorPage(t, answer)
      t.equal(provider.count('token'), calls + 1)
      t.strictSame(sessionCookies(person), [])
    })
  }
  t.strictSame(provider.problems, [], 'no redirect was followed')
})

t.test('AUT-20 DIS-07 a token endpoint that hangs is called once, and the person told', async (t) => {
  const http = createProviderHttp({ timeout: 300 })
  t.teardown(async () => { await http.close() })
  const { provider, browser, login } = await stage(t, { mutations: ['token-hangs'], deps: { fetch: http.fetch } })
  const answer = await login(browser())
  t.match([answer.status, answer.headers['bulla-error']], [503, 'idp_unavailable'])
  t.equal(provider.count('token'), 1)
})

t.test('session_too_large: tokens that do not fit are revoked, and the login says so', async (t) => {
  const { provider, browser, login } = await stage(t, { mutations: ['giant-refresh-token'] })
  const answer = await login(browser())
  t.match([answer.status, answer.headers['bulla-error']], [500, 'session_too_large'])
  await provider.reaches('revoke', 2)
})

t.test('claims that do not fit are shed, and the login succeeds within the budget', async (t) => {
  const { browser, login, url } = await stage(t, { mutations: ['giant-claims'], settings: { cookie: { budget: 2000 } } })
  const person = browser()
  await login(person)
  t.match(await whoIs(person, url), { authenticated: true, sub: 'u1', claims: {} })
  t.ok(sessionValues(person).length <= 2000)
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
  const { session } = app.sessions.read(request)
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

t.test('AUT-05 AUT-06 an answer works in one browser, once', async (t) => {
  const { provider, browser, login, url } = await stage(t)
  const person = browser()
  const answer = await login(person)
  const callback = callbackOf(answer)
  const calls = provider.count('token')
  await replay(person, callback)
  t.equal(provider.count('token'), calls, 'twice in the same browser: the code is not spent again')
  t.match(await whoIs(person, url), { authenticated: true }, 'and the person is where they wanted to be')
  const other = browser()
  const stolen = await other.open(callback)
  t.match([stolen.status, stolen.headers['bulla-error']], [400, 'callback_invalid'])
  t.strictSame(other.jar.cookies, [])
  t.equal(provider.count('token'), calls, 'the victim\'s answer in another browser: not spent')
})

const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'cross-site', accept: 'text/html' }

function callbackOf (answer: Answer): string {
  return answer.hops.find(({ url }) => url.pathname === '/bff/callback')?.url.href ?? ''
}

async function replay (person: Browser, callback: string): Promise<Answer> {
  const tab = person.tab()
  tab.url = new URL('https://login.example/')
  return await tab.navigate(callback)
}

t.test('AUT-07 swapping the states of two logins is seen', async (t) => {
  const { provider, browser, url } = await stage(t)
  const [one, two] = [browser(), browser()]
  const states = await Promise.all([one, two].map(async (person) => await stateOf(person, url, provider)))
  const answer = await one.open(`${url}/bff/callback?code=x&iss=${encodeURIComponent(provider.issuer)}&state=${states[0]?.slice(0, 8)}${states[1]?.slice(8)}`)
  t.equal(answer.headers['bulla-error'], 'callback_invalid')
  t.equal(provider.count('token'), 0)
})

/** Begins a login and stays away from the provider. */
async function stateOf (person: Browser, url: string, _provider: Stage['provider']): Promise<string> {
  person.url ??= new URL(url)
  const answer = await person.fetch('/bff/login', { redirect: 'manual', headers: { ...navigation, 'sec-fetch-site': 'same-origin' } })
  return new URL(answer.headers.location ?? '').searchParams.get('state') ?? ''
}

t.test('AUT-01 AUT-34/35 states, nonces and verifiers never repeat', async (t) => {
  const { provider, browser, url } = await stage(t)
  const seen = new Set<string>()
  for (let index = 0; index < 200; index++) {
    const person = browser()
    person.url = new URL(url)
    const { headers } = await person.fetch('/bff/login', { redirect: 'manual', headers: { ...navigation, 'sec-fetch-site': 'same-origin' } })
    const { searchParams } = new URL(headers.location ?? '')
    for (const name of ['state', 'nonce', 'code_challenge']) seen.add((searchParams.get(name) ?? '').slice(0, 43))
    t.match(searchParams.get('nonce'), /^[\w-]{43}$/)
  }
  t.equal(seen.size, 600)
  t.equal(provider.count('authorize'), 0)
})

t.test('CBE-15 HEAD and prefetch consume nothing', async (t) => {
  const { provider, browser, url } = await stage(t)
  const person = browser()
  const state = await stateOf(person, url, provider)
  const before = loginCookies(person)
  t.equal((await person.fetch(`/bff/callback?code=x&state=${state}`, { method: 'HEAD' })).status, 405)
  t.equal((await person.fetch('/bff/login', { method: 'HEAD' })).status, 405)
  for (const path of ['/bff/login', `/bff/callback?code=x&state=${state}`]) {
    for (const purpose of ['prefetch', 'prefetch;prerender']) {
      const answer = await person.fetch(path, { redirect: 'manual', headers: { ...navigation, 'sec-purpose': purpose } })
      t.match([answer.status, answer.headers['bulla-error'], answer.setCookies], [400, 'navigation_required', []])
    }
    t.equal((await person.fetch(path, { redirect: 'manual' })).headers['bulla-error'], 'navigation_required', 'a fetch neither')
  }
  t.strictSame(loginCookies(person), before)
  t.equal(provider.count('token'), 0)
})

t.test('AUT-29 a code of 4 KiB works', async (t) => {
  const { provider, browser, login } = await stage(t)
  provider.also({ answer: (params) => Object.entries({ ...params, code: 'c'.repeat(4096) }) })
  t.equal((await login(browser())).headers['bulla-error'], 'callback_invalid', 'as the provider does not know it')
  t.equal(provider.calls.at(-1)?.params.get('code')?.length, 4096)
})
