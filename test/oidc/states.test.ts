// States, nonces and verifiers: one browser, one answer, once; and whoever only looks consumes nothing.
import t from 'tap'
import type { Answer, Browser } from '../support/browser-jar.ts'
import { loginCookies, stage, whoIs, type Stage } from '../support/login.ts'

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
