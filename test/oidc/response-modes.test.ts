// form_post and signed answers (JARM): the same checks by another way in.
import t from 'tap'
import { BAD_ANSWERS, BAD_ID_TOKENS, BAD_JARM } from '../support/mutations.ts'
import type { Answer, Browser } from '../support/browser-jar.ts'
import { loginCookies, sessionCookies, sessionValues, stage, whoIs } from '../support/login.ts'

const form = { response_mode: 'form_post' }

t.test('oidcc-client-formpost-basic CBE-12 form_post: a login ends with a session', async (t) => {
  const { provider, browser, url } = await stage(t, { settings: form })
  const person = browser()
  await person.open(`${url}/bff/login?return_to=%2Forders`)
  t.strictSame(loginCookies(person).length, 1)
  const sent = await person.submitAutoForm()
  t.equal(sent.hops[0]?.method, 'POST')
  t.equal(sent.hops[0]?.status, 303, 'AUT-23')
  t.equal(sent.url.pathname, '/orders')
  t.match(await whoIs(person, url), { authenticated: true, sub: 'u1' })
  t.strictSame(provider.problems, [])
  t.strictSame(loginCookies(person), [])
})

t.test('CBE-12 COK-12 the login cookie of form_post is SameSite=None; Secure, over http://localhost too', async (t) => {
  const { browser, url } = await stage(t, { settings: form })
  const answer = await browser().open(`${url}/bff/login`)
  const [line = ''] = answer.hops[0]?.setCookies ?? []
  t.match(line, /^bulla-login\./)
  for (const attribute of [/; Path=\/(;|$)/, /; HttpOnly/, /; Secure/, /; SameSite=None/, /; Max-Age=600/]) t.match(line, attribute)
})

/** Sends the page's form field by field, names that come twice included. */
async function postForm (person: Browser, html: string, action: string): Promise<Answer> {
  const fields = [...html.matchAll(/name="([^"]*)" value="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value] as [string, string])
  const headers = {
    'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', accept: 'text/html'
  }
  return await person.fetch(action, { method: 'POST', body: new URLSearchParams(fields).toString(), headers, credentials: 'include' })
}

t.test('what must be refused in the basic plan is refused by form_post too', async (t) => {
  const { provider, browser, url } = await stage(t, { settings: form })
  for (const name of [...Object.keys(BAD_ID_TOKENS), ...Object.keys(BAD_ANSWERS)]) {
    await t.test(`oidcc-client-formpost-basic ${name}`, async (t) => {
      provider.mutate(name)
      const person = browser()
      const shown = await person.open(`${url}/bff/login`)
      const answer = await postForm(person, shown.text, `${url}/bff/callback`)
      t.match([answer.status, answer.headers['bulla-error']], [400, 'callback_invalid'])
      t.strictSame(sessionCookies(person), [])
    })
  }
})

t.test('oidcc-client-test-form-post-error CBE-03 an error by form_post is shown; a silent one goes on', async (t) => {
  const { provider, browser, url } = await stage(t, { settings: form })
  provider.mutate('error:login_required')
  const person = browser()
  await person.open(`${url}/bff/login`)
  t.match((await person.submitAutoForm()).headers['bulla-error'], 'login_denied')
  await person.open(`${url}/bff/login?prompt=none&return_to=%2Fhome`)
  t.equal((await person.submitAutoForm()).url.pathname, '/home')
  t.equal((await person.open(`${url}/bff/login?prompt=none&max_age=0`)).status, 400, 'max_age=0 never with prompt=none')
})

t.test('CBE-13 CBE-14 only a form is taken, of bounded size, and only where a form is expected', async (t) => {
  const { browser, url } = await stage(t, { settings: form })
  const person = browser()
  person.url = new URL(url)
  const post = async (type: string, body: string) => await person.fetch('/bff/callback', {
    method: 'POST', body, headers: { 'content-type': type, 'sec-fetch-mode': 'navigate', accept: 'text/html' }
  })
  t.equal((await post('application/json', '{}')).status, 415)
  t.equal((await post('text/plain', 'state=x')).status, 415)
  t.equal((await post('multipart/form-data; boundary=x', '--x--')).status, 415)
  t.equal((await post('application/x-www-form-urlencoded', `state=${'x'.repeat(1024 * 1024)}`)).status, 413)
  t.equal((await post('application/x-www-form-urlencoded', '')).status, 400)
  t.match((await person.open(`${url}/bff/callback?code=x&state=y`)).headers['bulla-error'], 'callback_invalid', 'not in the address')
  const plain = await stage(t)
  person.url = new URL(plain.url)
  const refused = await person.fetch('/bff/callback', { method: 'POST', headers: { 'sec-fetch-mode': 'navigate' } })
  t.match([refused.status, refused.headers.allow], [405, 'GET'])
})

for (const mode of ['jwt', 'form_post.jwt']) {
  const isForm = mode.startsWith('form')
  t.test(`JRM-01 response_mode ${mode}: a login ends with a session`, async (t) => {
    const { provider, browser, url } = await stage(t, { settings: { response_mode: mode } })
    const person = browser()
    await person.open(`${url}/bff/login`)
    if (isForm) await person.submitAutoForm()
    t.match(await whoIs(person, url), { authenticated: true })
    t.strictSame(provider.problems, [])
  })

  t.test(`JRM-01 response_mode ${mode}: signed answers that must be refused`, async (t) => {
    const { provider, browser, url } = await stage(t, { settings: { response_mode: mode } })
    const person = browser()
    const login = async () => {
      const answer = await person.open(`${url}/bff/login`)
      return isForm ? await person.submitAutoForm() : answer
    }
    await login()
    const before = sessionValues(person)
    for (const name of Object.keys(BAD_JARM)) {
      await t.test(`fapi2 ensure-${name}-fails JRM-02 AUT-16`, async (t) => {
        provider.mutate(name)
        const calls = provider.count('token')
        const answer = await login()
        t.match([answer.status, answer.headers['bulla-error']], [400, 'callback_invalid'])
        t.equal(provider.count('token'), calls)
        t.equal(sessionValues(person), before)
      })
    }
    await t.test('an error in an answer of a bad signature is not acted on', async (t) => {
      provider.mutate('error:access_denied', 'jarm-with-invalid-sig')
      t.equal((await login()).headers['bulla-error'], 'callback_invalid')
      provider.mutate('error:access_denied')
      t.equal((await login()).headers['bulla-error'], 'login_denied')
    })
  })
}
