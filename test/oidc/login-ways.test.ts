// A person who logs in ends up logged in: tabs, late answers, other sites, gated documents, silent and
// stronger logins.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import type { Answer, Browser } from '../support/browser-jar.ts'
import { loginCookies, sessionValues, stage, whoIs, type Stage } from '../support/login.ts'
import { startUpstream } from '../support/upstream.ts'

const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'same-origin', accept: 'text/html' }

/** Begins a login in a tab and stops at the provider's door. */
async function begin (tab: Browser, url: string, query = ''): Promise<URL> {
  tab.url ??= new URL(url)
  const { headers } = await tab.fetch(`/bff/login${query}`, { redirect: 'manual', headers: navigation })
  return new URL(headers.location ?? '')
}

/** Comes back from the provider. */
async function finish (tab: Browser, authorization: URL): Promise<Answer> {
  return await tab.navigate(authorization.href)
}

/** Comes from another site's page. */
function elsewhere (person: Browser): Browser {
  const tab = person.tab()
  tab.url = new URL('https://elsewhere.example/')
  return tab
}

t.test('AUT-09 two logins at once both end well, each at its own place', async (t) => {
  const { provider, browser, url } = await stage(t)
  const person = browser()
  const [a, b] = [await begin(person, url, '?return_to=%2Fa'), await begin(person.tab(), url, '?return_to=%2Fb')]
  t.equal(loginCookies(person).length, 2)
  t.equal((await finish(person.tab(), a)).url.pathname, '/a')
  t.equal((await finish(person.tab(), b)).url.pathname, '/b')
  t.match(await whoIs(person, url), { authenticated: true })
  t.equal(provider.count('token'), 2)
})

t.test('AUT-10 a hundred logins that nobody ends stay bounded, and the next one works', async (t) => {
  const { browser, url, login } = await stage(t)
  const person = browser()
  for (let index = 0; index < 100; index++) await begin(person, url, `?return_to=%2F${'p'.repeat(index * 10)}`)
  const kept = person.jar.cookies.filter(({ name }) => name.includes('-login.'))
  t.ok(kept.length <= 4, `${kept.length} cookies`)
  t.ok(kept.reduce((sum, { name, value }) => sum + name.length + value.length, 0) <= 4000)
  await login(person)
  t.match(await whoIs(person, url), { authenticated: true })
})

t.test('ten tabs that finish in any order all end where they wanted; those pushed out restart or go on', async (t) => {
  const { browser, url } = await stage(t)
  const person = browser()
  const tabs: Array<{ tab: Browser, to: URL, path: string }> = []
  for (let index = 0; index < 10; index++) {
    const tab = person.tab()
    tabs.push({ tab, path: `/page/${index}`, to: await begin(tab, url, `?return_to=%2Fpage%2F${index}`) })
  }
  for (const { tab, to, path } of tabs.sort((a, b) => (a.path < b.path ? 1 : -1))) {
    t.equal((await finish(tab, to)).url.pathname, path)
  }
  const alone = browser()
  const first = await begin(alone, url, '?return_to=%2Ffirst')
  for (let index = 0; index < 5; index++) await begin(alone.tab(), url)
  t.equal((await finish(alone, first)).url.pathname, '/first', 'the oldest was pushed out, and started again by itself')
  t.match(await whoIs(alone, url), { authenticated: true })
})

t.test('AUT-08 S23 a login that took too long starts again by itself, or goes on when there is a session', async (t) => {
  let late = 0
  const { provider, browser, url } = await stage(t, { deps: { clock: () => Date.now() + late } })
  const person = browser()
  const slow = await begin(person, url, '?return_to=%2Fslow')
  const callback = await answerOf(slow)
  late = 601_000
  const calls = provider.count('token')
  const ended = await elsewhere(person).navigate(callback)
  t.equal(provider.calls.filter(({ params }) => params.get('code') === new URL(callback).searchParams.get('code')).length, 0, 'the old code is not spent')
  t.equal(provider.count('token'), calls + 1, 'a new login was')
  t.equal(ended.url.pathname, '/slow')
  const asked = provider.count('authorize')
  t.equal((await elsewhere(person).navigate(callback)).url.pathname, '/slow', 'from a bookmark, with a session: straight on')
  t.equal(provider.count('authorize'), asked)
})

/** The provider's answer to a request, taken down before the browser gets it. */
async function answerOf (authorization: URL): Promise<string> {
  const { headers } = await fetch(authorization, { redirect: 'manual' })
  return headers.get('location') ?? ''
}

t.test('a login that gets lost again and again starts three times more, then explains itself', async (t) => {
  let late = 0
  const { provider, browser, url } = await stage(t, { deps: { clock: () => Date.now() + late } })
  const person = browser()
  person.jar.setCookie = () => 'blocked'
  provider.also({ answer: (params) => { late += 601_000; return Object.entries(params) } })
  const answer = await person.open(`${url}/bff/login?return_to=%2Forders`)
  t.match([answer.status, answer.headers['bulla-error']], [400, 'login_expired'])
  t.match(answer.text, /Cookies may be blocked/)
  t.match(answer.text, /href="[^"]*\/bff\/login\?return_to=%2Forders">Try again</)
  t.equal(provider.count('authorize'), 4, 'the login and three more')
})

t.test('a browser that keeps no cookies is told at once, and nothing loops', async (t) => {
  const { provider, browser, url } = await stage(t)
  const person = browser()
  person.jar.setCookie = () => 'blocked'
  const answer = await person.open(`${url}/bff/login?return_to=%2Forders`)
  t.match([answer.status, answer.headers['bulla-error']], [400, 'callback_invalid'])
  t.match(answer.text, /href="[^"]*\/bff\/login\?return_to=%2Forders">Try again</)
  t.equal(provider.count('authorize'), 1)
})

t.test('after a restart with other keys an old answer is explained, not repeated', async (t) => {
  const before = await stage(t)
  const person = before.browser()
  const callback = new URL(await answerOf(await begin(person, before.url)))
  const after = await stage(t)
  callback.port = new URL(after.url).port
  const answer = await elsewhere(person).navigate(callback.href)
  t.match([answer.status, answer.headers['bulla-error']], [400, 'callback_invalid'])
})

t.test('LCS-01 LCS-02 a login that another site starts never swaps a live session', async (t) => {
  const { provider, browser, login, url } = await stage(t)
  const person = browser()
  await login(person)
  const before = sessionValues(person)
  provider.subject = 'u2'
  const asked = provider.count('authorize')
  t.equal((await elsewhere(person).navigate(`${url}/bff/login?return_to=%2Forders`)).url.pathname, '/orders')
  const sibling = elsewhere(person)
  sibling.url = new URL('http://other.localhost/')
  await sibling.navigate(`${url}/bff/login`)
  t.equal(provider.count('authorize'), asked, 'no login took place')
  t.equal(sessionValues(person), before)
  const fresh = browser()
  t.equal((await elsewhere(fresh).navigate(`${url}/bff/login?return_to=%2Forders&login_hint=x`)).url.pathname, '/orders')
  t.match(await whoIs(fresh, url), { authenticated: true, sub: 'u2' }, 'without a session it is a login like any other')
  t.equal(provider.calls.findLast(({ endpoint }) => endpoint === 'authorize')?.params.get('login_hint'), 'x')
})

t.test('LCS-02 a parameter that does not count opens no way around that', async (t) => {
  const { provider, browser, login, url } = await stage(t, { settings: { login_params: ['acr_values', 'prompt'] } })
  const person = browser()
  await login(person)
  const before = sessionValues(person)
  provider.subject = 'u2'
  const asked = provider.count('authorize')
  for (const query of ['acr_values=', 'max_age=1', 'max_age=', 'prompt=', 'prompt=select_account']) {
    await elsewhere(person).navigate(`${url}/bff/login?${query}`)
    t.equal(provider.count('authorize'), asked, `${query}: no login took place`)
  }
  await elsewhere(person).navigate(`${url}/bff/login?prompt=login`)
  t.equal(sessionValues(person), before, 'what counts is bound to the person')
})

t.test('FIX-01 S22 a login replaces whatever session there was, chunks and all', async (t) => {
  const { provider, browser, login, url } = await stage(t)
  const person = browser()
  await login(person)
  const first = await whoIs(person, url)
  const chunk = person.jar.cookies.find(({ name }) => name === 'bulla.0')
  if (chunk !== undefined) person.jar.plant({ ...chunk, name: 'bulla.1' })
  provider.subject = 'u2'
  await login(person)
  const second = await whoIs(person, url)
  t.match([first.sub, second.sub], ['u1', 'u2'])
  t.not(first.sid, second.sid)
})

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

t.test('CBE-03 a silent login that finds nobody is no error, and keeps the session that there is', async (t) => {
  const { provider, browser, login, url } = await stage(t)
  const person = browser()
  await login(person)
  const before = sessionValues(person)
  for (const error of ['login_required', 'interaction_required', 'consent_required', 'account_selection_required']) {
    provider.mutate(`error:${error}`)
    const answer = await login(person, '?prompt=none&return_to=%2Fhome')
    t.equal(answer.url.pathname, '/home')
    t.equal(sessionValues(person), before)
    const framed = await inFrame(person, url)
    t.match(framed.text, `data-outcome="${error}"`)
    t.equal(sessionValues(person), before)
  }
  provider.mutate('error:server_error')
  t.match((await inFrame(person, url)).text, 'data-outcome="idp_unavailable"')
  t.equal((await login(person, '?prompt=none')).headers['bulla-error'], 'idp_unavailable')
  t.equal(sessionValues(person), before)
})

/** A silent login in a frame of the app's page. */
async function inFrame (person: Browser, url: string): Promise<Answer> {
  const frame = person.tab()
  frame.url = new URL(url)
  return await frame.navigate(`${url}/bff/login?prompt=none`, { headers: { 'sec-fetch-dest': 'iframe' } })
}

t.test('a silent login in a frame tells its outcome by a script of our own, to our own origin only', async (t) => {
  const { browser, url } = await stage(t)
  const person = browser()
  person.url = new URL(url)
  const answer = await inFrame(person, url)
  t.match(answer.text, 'data-outcome="ok"')
  t.match(answer.headers['content-security-policy'], /script-src 'self'.*frame-ancestors 'self'/)
  t.notMatch(answer.headers['content-security-policy'], /unsafe/)
  t.match(answer.text, '<script src="/bff/login/outcome.js"></script>')
  const script = await person.tab().fetch(`${url}/bff/login/outcome.js`)
  t.match(script.headers['content-type'], /^text\/javascript/)
  t.match(script.text, 'window.location.origin')
  t.notMatch(script.text, '\'*\'')
  t.match(await whoIs(person, url), { authenticated: true })
  const fresh = await stage(t, { mutations: ['discovery-issuer-mismatch'] })
  t.match((await inFrame(fresh.browser(), fresh.url)).text, 'data-outcome="idp_misconfigured"', 'also when it cannot begin')
})

async function gated (t: Test, settings: Record<string, unknown> = {}): Promise<Stage> {
  const spa = t.testdir({ 'index.html': '<title>app</title>', 'app.js': '1' })
  mkdirSync(join(spa, 'sub'))
  writeFileSync(join(spa, 'sub', 'page.html'), '<title>page</title>')
  return await stage(t, { settings: { spa, spa_gate: true, ...settings } })
}

t.test('COK-13 a gated document sends to login and comes back without a loop', async (t) => {
  const { provider, browser, url } = await gated(t)
  const person = browser()
  const answer = await person.open(`${url}/orders?x=1`)
  t.match([answer.status, answer.url.pathname, answer.url.search], [200, '/orders', '?x=1'])
  t.match(answer.text, '<title>app</title>')
  t.equal(provider.count('authorize'), 1)
  t.match((await elsewhere(person).navigate(`${url}/sub/page.html`)).text, '<title>page</title>', 'from another site too')
  t.equal(provider.count('authorize'), 1)
  const stranger = browser()
  stranger.url = new URL(url)
  t.equal((await stranger.fetch('/index.html')).status, 401, 'nor by fetch')
  t.equal((await stranger.fetch('/orders')).status, 401)
  for (const path of ['/index.%68tml', '/sub/page%2Ehtml', '/INDEX.HTML', '/%E0%A4%A']) {
    t.not((await stranger.fetch(path)).status, 200, path)
  }
  t.equal((await stranger.fetch('/app.js')).status, 200, 'scripts are no documents')
})

t.test('COK-13 a browser without Fetch Metadata does not loop at the gate either', async (t) => {
  const { provider, url } = await gated(t)
  const get = async (target: string, cookie: string) => {
    const { statusCode, headers, body } = await request(target, { headers: { accept: 'text/html', cookie } })
    return { status: statusCode, location: String(headers.location), cookies: [headers['set-cookie'] ?? []].flat(), text: await body.text() }
  }
  const start = await get(`${url}/orders`, '')
  t.match([start.status, start.location], [302, '/bff/login?return_to=%2Forders'])
  const login = await get(`${url}/bff/login?return_to=%2Forders`, '')
  const cookie = (login.cookies[0] ?? '').split(';', 1)[0] ?? ''
  const callback = await answerOf(new URL(login.location))
  const done = await get(callback, cookie)
  const session = done.cookies.filter((line) => /^bulla\.0=./.test(line)).map((line) => line.split(';', 1)[0]).join('; ')
  t.equal(done.status, 303)
  const hop = await get(new URL(done.location, url).href, '')
  t.equal(hop.status, 200)
  const [, next = ''] = /content="0;url=([^"]*)"/.exec(hop.text) ?? []
  const last = await get(new URL(next.replaceAll('&#38;', '&'), url).href, session)
  t.match([last.status, last.location], [303, '/orders'])
  t.equal(provider.count('token'), 1)
})

t.test('a return_to on a fetch-metadata route is reached by a hop, since it answers same-origin navigations only', async (t) => {
  const upstream = await startUpstream(t)
  const routes = [{ prefix: '/files', upstream: upstream.url, csrf: 'fetch-metadata' }]
  const { browser, login } = await stage(t, { settings: { routes } })
  const answer = await login(browser(), '?return_to=%2Ffiles%2Freport')
  t.match([answer.status, answer.url.pathname], [200, '/files/report'])
  t.match(upstream.requests[0]?.headers.authorization, /^Bearer at-/)
})

t.test('LCS-03 oidcc-client-test-3rd-party-init-login a login that the provider starts', async (t) => {
  const { provider, browser, url } = await stage(t, { settings: { third_party_login: true } })
  const iss = encodeURIComponent(provider.issuer)
  const start = async (person: Browser, query: string) => await elsewhere(person).navigate(`${url}/bff/login/initiate?${query}`)
  const person = browser()
  const target = encodeURIComponent(`${url}/orders?x=1`)
  t.equal((await start(person, `iss=${iss}&login_hint=nanni&target_link_uri=${target}`)).url.pathname, '/orders')
  t.match(await whoIs(person, url), { authenticated: true })
  t.equal(provider.calls.find(({ endpoint }) => endpoint === 'authorize')?.params.get('login_hint'), 'nanni')
  for (const bad of ['https://evil.example/', `${url}.evil.example/`, `${url}@evil.example/`, '//evil.example', `${url}//evil.example`, `${url}/bff/logout`]) {
    t.equal((await start(browser(), `iss=${iss}&target_link_uri=${encodeURIComponent(bad)}`)).url.href, `${url}/`, `S5 ${bad}`)
  }
  const asked = provider.count('authorize')
  for (const query of ['', 'iss=https%3A%2F%2Fevil.example', `iss=${iss}%2F`, `iss=${iss}&iss=${iss}`]) {
    t.equal((await start(browser(), query)).headers['bulla-error'], 'bad_request', query)
  }
  t.equal(provider.count('authorize'), asked)
  const posted = elsewhere(browser())
  const answer = await posted.submitForm({ action: `${url}/bff/login/initiate`, method: 'POST', fields: { iss: provider.issuer, target_link_uri: `${url}/home` } })
  t.equal(answer.url.pathname, '/home', 'by POST too')
  const off = await stage(t)
  t.equal((await off.browser().open(`${off.url}/bff/login/initiate?iss=${iss}`)).status, 404, 'off by default')
})
