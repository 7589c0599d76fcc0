// Holds the test provider to its word: realistic tokens, rotation, faults on request, and pages for people.
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { Browser } from './support/browser-jar.ts'
import { formsOf } from './support/html.ts'
import { demoUsers, startProvider } from './support/provider.ts'

function open (t: Test, options: ConstructorParameters<typeof Browser>[0] = {}): Browser {
  const browser = new Browser(options)
  t.teardown(() => browser.close())
  return browser
}

t.test('the provider logs in, answers tokens of a realistic size and counts its calls', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'] })
  const { tokens, browser } = await logIn(t, provider, { login_hint: 'ea-nasir' })
  t.match(tokens, { token_type: 'Bearer', expires_in: 120, refresh_token: String, id_token: String })
  const { access_token: accessToken = '', id_token: idToken = '' } = tokens
  t.ok(accessToken.length > 1200 && accessToken.length < 1600, `${accessToken.length} bytes`)
  t.match(claimsOf(accessToken), {
    iss: provider.issuer, aud: 'urn:bulla-demo:orders', sub: demoUsers[1]?.sub, realm_access: { roles: ['offline_access'] }
  })
  t.match(claimsOf(idToken), { name: demoUsers[1]?.name, roles: ['merchant', 'orders-admin'], sid: String })
  t.match(provider.calls, { authorization: 2, interaction: 1, token: 1, par: 0 })
  t.match(provider.log.at(-1), { endpoint: 'token', method: 'POST', body: /grant_type=authorization_code/ })
  t.equal(browser.page?.url.searchParams.get('iss'), provider.issuer)
})

t.test('strict rotation ends the family of a token that is used twice, however close together', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'] })
  const { tokens } = await logIn(t, provider)
  const both = await Promise.all([1, 2].map(() => refresh(provider, tokens.refresh_token)))
  t.strictSame(both.map(({ status }) => status).sort(), [200, 400])
  const winner = both.find(({ status }) => status === 200)
  t.match(await refresh(provider, winner?.body.refresh_token), { status: 400, body: { error: 'invalid_grant' } })
})

t.test('a reuse window answers a spent token with new ones', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'], rotation: { reuseWindow: 30 } })
  const { tokens } = await logIn(t, provider)
  const first = await refresh(provider, tokens.refresh_token)
  const second = await refresh(provider, tokens.refresh_token)
  t.match([first.status, second.status], [200, 200])
  t.not(first.body.refresh_token, second.body.refresh_token)
  t.equal((await refresh(provider, first.body.refresh_token)).status, 200)
})

t.test('without rotation the refresh token stays, until an administrator ends the session', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'], rotation: 'none' })
  const { tokens } = await logIn(t, provider)
  t.equal((await refresh(provider, tokens.refresh_token)).body.refresh_token, tokens.refresh_token)
  provider.revokeSubject(demoUsers[0]?.sub ?? '')
  t.match(await refresh(provider, tokens.refresh_token), { status: 400, body: { error: 'invalid_grant' } })
})

t.test('endpoints break as told, and mend', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'] })
  const { tokens } = await logIn(t, provider)
  provider.fault('token', { status: 503, headers: { 'retry-after': '7' } }, { times: 1 })
  t.equal((await refresh(provider, tokens.refresh_token)).status, 503)
  provider.fault('token', { reset: true }, { times: 1 })
  await t.rejects(refresh(provider, tokens.refresh_token))
  provider.fault('token', { hang: true })
  const hanging = refresh(provider, tokens.refresh_token, AbortSignal.timeout(50))
  t.match(await provider.nextCall('token'), { endpoint: 'token' })
  await t.rejects(hanging)
  provider.mend('token')
  provider.fault('token', { loseAnswer: true }, { times: 1 })
  await t.rejects(refresh(provider, tokens.refresh_token))
  t.match(await refresh(provider, tokens.refresh_token), { status: 400 }, 'the lost answer had spent it')
  let release = () => {}
  provider.delay('jwks', new Promise<void>((resolve) => { release = resolve }))
  const delayed = fetch(`${provider.issuer}/jwks`)
  await provider.nextCall('jwks')
  release()
  t.equal((await delayed).status, 200)
})

t.test('the provider can be away for a while, and refuse a login', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'] })
  await provider.stop()
  await t.rejects(fetch(`${provider.issuer}/jwks`))
  await provider.start()
  t.equal((await fetch(`${provider.issuer}/jwks`)).status, 200)
  provider.behaviour.refuseWith = 'access_denied'
  const browser = open(t, { routes: { 'http://localhost:9': provider.issuer } })
  await browser.open(authorizationUrl(provider).href)
  t.equal(browser.page?.url.searchParams.get('error'), 'access_denied')
})

t.test('people choose who they are, and are asked before they are logged out', async (t) => {
  const provider = await startProvider(t, { redirectUris: ['http://localhost:9/cb'], interactive: true })
  const browser = open(t, { routes: { 'http://localhost:9': provider.issuer } })
  await browser.open(authorizationUrl(provider).href)
  t.match(formsOf(browser.page?.text ?? '')[0]?.buttons.map(({ value }) => value), ['nanni', 'ea-nasir'])
  await browser.submitForm({ fields: { user: 'nanni' } })
  t.ok(browser.page?.url.searchParams.get('code'))
  await browser.open(`${provider.issuer}/logout`)
  await browser.submitForm({ fields: { logout: 'yes' } })
  t.match(browser.page?.text, /You are logged out/)
  await browser.open(authorizationUrl(provider).href)
  await browser.submitForm({ form: '/abort' })
  t.equal(browser.page?.url.searchParams.get('error'), 'access_denied')
  await browser.open(`${provider.issuer}/interaction/unknown`)
  t.match(browser.page, { status: 400, text: /This login is over/ })
})

type Provider = Awaited<ReturnType<typeof startProvider>>
const verifier = 'v'.repeat(43)

function authorizationUrl (provider: Provider, extra: Record<string, string> = {}): URL {
  const url = new URL(`${provider.issuer}/authorize`)
  url.search = new URLSearchParams({
    client_id: provider.clientId,
    redirect_uri: 'http://localhost:9/cb',
    response_type: 'code',
    scope: 'openid profile email offline_access orders:read',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...extra
  }).toString()
  return url
}

async function tokenRequest (provider: Provider, form: Record<string, string>, signal?: AbortSignal) {
  const credentials = Buffer.from(`${provider.clientId}:${provider.clientSecret}`).toString('base64')
  const response = await fetch(`${provider.issuer}/token`, {
    method: 'POST', body: new URLSearchParams(form), headers: { authorization: `Basic ${credentials}` }, signal: signal ?? null
  })
  return { status: response.status, body: await response.json() as Record<string, string> }
}

async function refresh (provider: Provider, token: string | undefined, signal?: AbortSignal) {
  return await tokenRequest(provider, { grant_type: 'refresh_token', refresh_token: token ?? '' }, signal)
}

async function logIn (t: Test, provider: Provider, extra: Record<string, string> = {}) {
  const browser = open(t, { routes: { 'http://localhost:9': provider.issuer } })
  await browser.open(authorizationUrl(provider, extra).href)
  const code = browser.page?.url.searchParams.get('code') ?? ''
  const { body } = await tokenRequest(provider, {
    grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: 'http://localhost:9/cb'
  })
  return { tokens: body, browser }
}

function claimsOf (jwt: string) {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString())
}
