// A person who logs in ends up logged in: tabs, late answers, lost cookies, other sites, other sessions.
import t from 'tap'
import type { Answer, Browser } from '../support/browser-jar.ts'
import { loginCookies, sessionValues, stage, whoIs } from '../support/login.ts'

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
