// Logins that nobody clicked for: silent ones, gated documents, routes that navigations reach, portals.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import type { Answer, Browser } from '../support/browser-jar.ts'
import { sessionValues, stage, whoIs, type Stage } from '../support/login.ts'
import { startUpstream } from '../support/upstream.ts'

/** Comes from another site's page. */
function elsewhere (person: Browser): Browser {
  const tab = person.tab()
  tab.url = new URL('https://elsewhere.example/')
  return tab
}

async function answerOf (authorization: URL): Promise<string> {
  const { headers } = await fetch(authorization, { redirect: 'manual' })
  return headers.get('location') ?? ''
}

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
