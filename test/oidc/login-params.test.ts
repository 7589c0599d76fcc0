// What a caller of login may ask for: a stronger or fresher login, by the same person, and nothing else.
import t from 'tap'
import { sessionValues, stage, whoIs } from '../support/login.ts'

const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'same-origin', accept: 'text/html' }

t.test('AUT-19 FIX-02 stepping up must return the same person, and gives a new session', async (t) => {
  const { provider, browser, login, url } = await stage(t)
  const person = browser()
  await login(person)
  const { sid } = await whoIs(person, url)
  for (const query of ['?acr_values=gold', '?max_age=0', '?prompt=login', '?prompt=consent', '?prompt=none']) {
    await t.test(query, async (t) => {
      const before = sessionValues(person)
      provider.subject = 'u2'
      const refused = await login(person, query)
      t.equal(refused.headers['bulla-error'], 'callback_invalid')
      t.equal(sessionValues(person), before, 'KEEP')
      provider.subject = 'u1'
      await login(person, query)
      const after = await whoIs(person, url)
      t.equal(after.sub, 'u1')
      t.not(after.sid, sid)
    })
  }
  provider.subject = 'u2'
  await login(person, '?prompt=select_account')
  t.match(await whoIs(person, url), { sub: 'u2' }, 'choosing another account is no step-up')
})

t.test('what the deployment asks of every login is no step-up: another person may log in', async (t) => {
  const constants = { max_age: '3600', acr_values: 'gold' }
  const { provider, browser, login, url } = await stage(t, { settings: { authorization_params: constants } })
  const person = browser()
  await login(person)
  provider.subject = 'u2'
  await login(person)
  t.match(await whoIs(person, url), { sub: 'u2' })
  provider.mutate('acr-other')
  t.equal((await login(browser())).headers['bulla-error'], 'callback_invalid', 'and it is held against the ID token')
})

t.test('IDT-10 IDT-11 STP-01/04 the strength and the age that were asked for are held against the ID token', async (t) => {
  const { provider, browser, login, url } = await stage(t)
  const cases: Array<[string, string]> = [
    ['acr-missing', '?acr_values=gold'], ['acr-other', '?acr_values=gold%20silver'],
    ['auth-time-missing', '?max_age=3600'], ['auth-time-too-old', '?max_age=3600']
  ]
  for (const [name, query] of cases) {
    provider.mutate(name)
    t.equal((await login(browser(), query)).headers['bulla-error'], 'callback_invalid', name)
  }
  provider.mutate()
  const person = browser()
  await login(person, '?acr_values=gold%20silver&max_age=3600')
  t.match(await whoIs(person, url), { authenticated: true })
  t.strictSame(provider.problems, [])
})

t.test('AUT-21 S9 a caller of login sets what is allowed, and nothing else', async (t) => {
  const { provider, browser, login } = await stage(t, { settings: { authorization_params: { audience: 'api' } } })
  await login(browser(), '?redirect_uri=e&client_id=e&scope=admin&response_mode=fragment&request_uri=e&response_type=token&state=s' +
    '&audience=e&resource=e&prompt=login&ui_locales=de%20en&login_hint=nanni&code_challenge=x&nonce=n&request=r')
  const { params } = provider.calls.findLast(({ endpoint }) => endpoint === 'authorize') ?? { params: new URLSearchParams() }
  t.match(Object.fromEntries(params), {
    client_id: 'app',
    response_type: 'code',
    scope: 'openid profile email offline_access',
    audience: 'api',
    prompt: 'login',
    ui_locales: 'de en',
    login_hint: 'nanni',
    code_challenge_method: 'S256'
  })
  for (const name of ['request_uri', 'request', 'resource', 'response_mode']) t.notOk(params.has(name), name)
  t.strictSame(provider.problems, [])
})

t.test('STP-02 malformed, repeated and unpublished values are 400, and no login starts', async (t) => {
  const { provider, browser, login } = await stage(t)
  provider.also({
    metadata: (metadata) => ({ ...metadata, prompt_values_supported: ['none', 'login'], acr_values_supported: ['gold'], ui_locales_supported: ['de-AT'] })
  })
  const bad = ['max_age=-1', 'max_age=1e9999', 'max_age=1.5', 'max_age=1&max_age=2', 'acr_values=a%0d%0ab', `acr_values=${'x'.repeat(600)}`,
    'prompt=consent', 'prompt=none%20login', 'acr_values=bronze', 'ui_locales=en', 'ui_locales=%3Cx%3E', 'login_hint=a%00b',
    'return_to=%2Fa&return_to=%2Fb', 'prompt=none&max_age=0', 'return_to[]=%2Fa&return_to[]=%2Fb&prompt[]=x&prompt=login&prompt=none']
  for (const query of bad) {
    const answer = await login(browser(), `?${query}`)
    t.match([answer.status, answer.headers['bulla-error']], [400, 'bad_request'], query.slice(0, 40))
  }
  t.equal(provider.count('authorize'), 0)
  await login(browser(), '?prompt=login&acr_values=gold&ui_locales=de-at')
  t.equal(provider.count('authorize'), 1)
})

t.test('a parameter that login_params leaves out is not passed on', async (t) => {
  const { provider, browser, login } = await stage(t, { settings: { login_params: ['login_hint'] } })
  await login(browser(), '?prompt=login&login_hint=nanni')
  const { params } = provider.calls.find(({ endpoint }) => endpoint === 'authorize') ?? { params: new URLSearchParams() }
  t.match([params.get('prompt'), params.get('login_hint')], [null, 'nanni'])
})

t.test('AUT-11 RPI-03 PRX-08 the redirect URI is the configured one, whatever Host and forwarded headers say', async (t) => {
  const { provider, browser, url } = await stage(t)
  const forged = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', forwarded: 'host=evil.example' }
  const person = browser()
  person.url = new URL(url)
  const { headers } = await person.fetch('/bff/login', { redirect: 'manual', headers: { ...navigation, ...forged } })
  t.equal(new URL(headers.location ?? '').searchParams.get('redirect_uri'), `${url}/bff/callback`)
  t.strictSame(provider.problems, [])
})
