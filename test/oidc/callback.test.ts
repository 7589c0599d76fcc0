// The answer of the provider: forged, broken, refused or lost, it never costs a session and never leaks.
import t, { type Test } from 'tap'
import { createProviderHttp } from '../../src/oidc/http.ts'
import { BAD_ANSWERS, TOKEN_FAULTS } from '../support/mutations.ts'
import { loginCookies, sessionCookies, sessionValues, stage, whoIs } from '../support/login.ts'
import type { Answer } from '../support/browser-jar.ts'

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
