// Logins that the app drives itself: it takes the redirect and hands the page's address to its backend.
import t from 'tap'
import type { Browser } from '../support/browser-jar.ts'
import { BAD_ANSWERS } from '../support/mutations.ts'
import { loginCookies, sessionValues, stage, whoIs, type Stage } from '../support/login.ts'

const settings = { spa_redirect_uri: '/signed-in' }

function page (stage: Stage): Browser {
  const browser = stage.browser()
  browser.url = new URL(stage.url)
  return browser
}

/** Starts a login, goes to the provider, and is at the app's own page again. */
async function comeBack (person: Browser, body: object = {}): Promise<string> {
  const started = await person.fetch('/bff/login/start', { method: 'POST', body })
  const answer = await fetch(started.json().authorization_url, { redirect: 'manual' })
  return answer.headers.get('location') ?? ''
}

const end = async (person: Browser, url: string) => await person.fetch('/bff/login/end', { method: 'POST', body: { url } })

t.test('the app starts a login, hands in the address, and has a session', async (t) => {
  const app = await stage(t, { settings })
  const person = page(app)
  const url = await comeBack(person, { return_to: '/orders', login_hint: 'nanni' })
  t.equal(new URL(url).pathname, '/signed-in')
  t.equal(loginCookies(person).length, 1)
  const answer = await end(person, url)
  t.match(answer.json(), { handled: true, return_to: '/orders', session: { authenticated: true, sub: 'u1', claims: { name: 'Nanni' } } })
  t.equal(answer.headers['cache-control'], 'no-store')
  t.match(await whoIs(person, app.url), { authenticated: true })
  t.strictSame(loginCookies(person), [])
  t.strictSame(app.provider.problems, [])
  t.equal(app.provider.calls.find(({ endpoint }) => endpoint === 'authorize')?.params.get('login_hint'), 'nanni')
})

t.test('login/end may be called on every page load: addresses without an answer are not handled', async (t) => {
  const app = await stage(t, { settings })
  const person = page(app)
  const urls = [`${app.url}/`, `${app.url}/x?code=1`, `${app.url}/x?state=1`, 'https://evil.example/?code=1&state=2', 'no url',
    `${app.url.replace('localhost', '127.0.0.1')}/signed-in?code=1&state=2`, `${app.url}/?code=&state=`,
    `${app.url}/quiz?response=42`]
  for (const url of urls) t.strictSame((await end(person, url)).json(), { handled: false }, url)
  const url = await comeBack(person)
  await end(person, url)
  const before = sessionValues(person)
  t.match((await end(person, url)).json(), { handled: true, session: { authenticated: true } }, 'the page was loaded again')
  t.equal(sessionValues(person), before)
  t.equal(app.provider.count('token'), 1)
})

t.test('AUT-05 AUT-07 wrong states are 400, and answers do not change ways', async (t) => {
  const app = await stage(t, { settings })
  const person = page(app)
  for (const change of [/(?<=state=)[^&]{10}/, /(?<=state=[^&]{20})[^&]{10}/, /(?<=state=[^&]{60})[^&]{10}/]) {
    const answer = await end(person, (await comeBack(person)).replace(change, 'AAAAAAAAAA'))
    t.match([answer.status, answer.json().code], [400, 'callback_invalid'])
  }
  const url = await comeBack(person)
  t.equal((await end(page(app), url)).json().code, 'callback_invalid', 'nor in another browser')
  const toCallback = await person.tab().navigate(url.replace('/signed-in', '/bff/callback'))
  t.equal(toCallback.headers['bulla-error'], 'callback_invalid')
  t.equal(app.provider.count('token'), 0)
})

t.test('answers that must be refused are refused here too', async (t) => {
  const app = await stage(t, { settings })
  for (const name of Object.keys(BAD_ANSWERS)) {
    await t.test(`CBE-09 S34 ${name}`, async (t) => {
      const person = page(app)
      app.provider.mutate(name)
      const answer = await end(person, await comeBack(person))
      if (answer.status === 200) t.strictSame(answer.json(), { handled: false })
      else t.match([answer.status, answer.json().code], [400, 'callback_invalid'])
      t.equal(sessionValues(person), '')
    })
  }
  t.equal(app.provider.count('token'), 0)
})

t.test('CBE-03 CBE-17 a refused login is a problem document; a silent one that finds nobody is handled', async (t) => {
  const app = await stage(t, { settings })
  const person = page(app)
  app.provider.mutate('error:access_denied')
  const denied = await end(person, await comeBack(person))
  t.match([denied.status, denied.headers['content-type'], denied.json().code], [403, /^application\/problem\+json/, 'login_denied'])
  t.strictSame(loginCookies(person), [])
  app.provider.mutate('error:login_required')
  const silent = await end(person, await comeBack(person, { prompt: 'none' }))
  t.match(silent.json(), { handled: true, return_to: '/', session: { authenticated: false } })
})

t.test('a signed answer works, and form_post is left out, since no form can be posted to a page', async (t) => {
  for (const mode of ['jwt', 'form_post.jwt', 'form_post']) {
    const app = await stage(t, { settings: { ...settings, response_mode: mode } })
    const person = page(app)
    const url = await comeBack(person)
    t.equal(new URL(url).searchParams.has('response'), mode !== 'form_post')
    t.match((await end(person, url)).json(), { handled: true }, mode)
  }
})

t.test('BBA-12 both endpoints are guarded, want JSON, and exist only with a page to come back to', async (t) => {
  const app = await stage(t, { settings })
  const person = page(app)
  for (const path of ['/bff/login/start', '/bff/login/end']) {
    t.equal((await person.fetch(path, { method: 'POST', body: {}, csrf: false })).json().code, 'csrf_header_missing')
    t.equal((await person.fetch(path, { method: 'POST', body: {}, headers: { 'sec-fetch-site': 'cross-site' } })).json().code, 'csrf_origin_refused')
    t.equal((await person.fetch(path)).status, 405)
    for (const body of ['[]', 'null', '1', '{']) {
      t.equal((await person.fetch(path, { method: 'POST', body, headers: { 'content-type': 'application/json' } })).json().code, 'bad_request', body)
    }
    t.equal((await person.fetch(path, { method: 'POST' })).json().code, 'bad_request')
    t.equal((await person.fetch(path, { method: 'POST', body: 'x', headers: { 'content-type': 'text/xml' } })).status, 415)
    t.equal((await person.fetch(path, { method: 'POST', body: { url: 'x'.repeat(40_000) } })).status, 413)
  }
  t.equal((await person.fetch('/bff/login/end', { method: 'POST', body: { url: 7 } })).json().code, 'bad_request')
  t.equal((await person.fetch('/bff/login/start', { method: 'POST', body: { max_age: -1 } })).json().code, 'bad_request')
  const without = page(await stage(t))
  t.equal((await without.fetch('/bff/login/start', { method: 'POST', body: {} })).status, 404)
})
