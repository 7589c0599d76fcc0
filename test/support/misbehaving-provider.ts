// An OpenID provider of our own, strict towards its client and wrong in any way that a test names.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CompactEncrypt, type JWK } from 'jose'
import { broken, keyNamed, signWith, type Header } from './misbehaving-keys.ts'
import { mutationNamed, type Mutation } from './mutations.ts'
import { metadataOf, problemsOfRequest, verifyClient, type ClientRules } from './strict-client-check.ts'

type Json = Record<string, unknown>

/** One call that came in. */
export interface ProviderCall {
  readonly endpoint: string
  readonly method: string
  readonly headers: IncomingMessage['headers']
  /** Query, or form. */
  readonly params: URLSearchParams
}

/** A provider under a test's control. */
export interface MisbehavingProvider {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** Every call, oldest first. */
  readonly calls: ProviderCall[]
  /** What the client did wrong; the conformance suite's own checks of the relying party. */
  readonly problems: string[]
  /** The `sub` of whoever is logged in at the provider. */
  subject: string
  /** Is awaited before each answer. */
  hold: (call: ProviderCall) => Promise<void>
  /** What is wrong from now on; replaces what was. */
  mutate (...names: string[]): void
  /** Adds to what is wrong. */
  also (mutation: Mutation): void
  /** The signing key from now on; the key set follows. */
  rotate (kid: string): void
  /** How often an endpoint was called. */
  count (endpoint: string): number
  /** The call to an endpoint that makes it so many. */
  reaches (endpoint: string, count: number): Promise<void>
  stop (): Promise<void>
  start (): Promise<void>
}

interface Grant { readonly params: URLSearchParams, readonly subject: string }

/** Starts the provider on loopback; it ends with the test. */
export async function startMisbehavingProvider (
  t: { teardown (end: () => unknown): void }, rules: Partial<ClientRules> = {}, clock: () => number = Date.now
): Promise<MisbehavingProvider> {
  const server = createServer(serve)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}`
  const full: ClientRules = { issuer, clientId: 'app', clientSecret: 'a-very-secret-secret', method: 'client_secret_basic', ...rules }
  const codes = new Map<string, Grant>()
  const grants = new Map<string, Grant>()
  const waiting: Array<() => void> = []
  let mutations: Mutation[] = []
  let kid = 'main'

  const apply = <T>(pick: (mutation: Mutation) => ((value: T) => T) | undefined, value: T): T =>
    mutations.reduce((current, mutation) => pick(mutation)?.(current) ?? current, value)
  const first = <K extends keyof Mutation>(name: K): Mutation[K] | undefined =>
    mutations.find((mutation) => mutation[name] !== undefined)?.[name]

  async function sign (claims: Json, header: Header = {}): Promise<string> {
    const wanted = first('key')
    const key = await keyNamed(wanted?.kid ?? kid, wanted?.alg)
    const head = apply((mutation) => mutation.header, { alg: key.alg, kid: key.kid, ...header })
    const jwt = await signWith(key, claims, head)
    if (first('spoil') === 'signature') return broken(jwt)
    if (first('spoil') !== 'encrypted') return jwt
    const { use: _sig, ...to } = (await keyNamed('encryption', 'RSA-OAEP')).publicJwk
    return await new CompactEncrypt(Buffer.from(jwt)).setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A256GCM' }).encrypt(to)
  }

  const endpoints: Record<string, (call: ProviderCall, response: ServerResponse) => Promise<void>> = {
    '.well-known/openid-configuration': async (_call, response) => {
      send(response, 200, apply((mutation) => mutation.metadata, metadataOf(issuer, full.method)))
    },
    jwks: async (_call, response) => {
      const [decoy, ec] = [(await keyNamed('decoy')).publicJwk, (await keyNamed('ec', 'ES256')).publicJwk]
      const alternate = (await keyNamed('alternate', 'PS256')).publicJwk
      const right: JWK[] = [(await keyNamed(kid)).publicJwk, ec, alternate]
      const keys = mutations.reduce((so, mutation) => mutation.jwks?.(so, { decoy, ec }) ?? so, right)
      send(response, 200, { keys })
    },
    authorize: async ({ params }, response) => {
      provider.problems.push(...problemsOfRequest(params, full.clientId))
      const code = randomBytes(16).toString('hex')
      const error = first('error')
      const right: Record<string, string> = { state: params.get('state') ?? '', iss: issuer, ...(error === undefined ? { code } : { error }) }
      if (error === undefined) codes.set(code, { params, subject: provider.subject })
      await answer(params, right, response)
    },
    token: async (call, response) => {
      provider.problems.push(...await verifyClient(call, full))
      const wrong = first('tokenAnswer')
      if (wrong !== undefined) {
        response.writeHead(wrong.status, wrong.headers).end(wrong.body)
        return
      }
      const grant = redeem(call.params)
      if (grant === undefined) return send(response, 400, { error: 'invalid_grant' })
      send(response, 200, apply((mutation) => mutation.token, await tokensFor(grant)))
    },
    userinfo: async ({ headers, params }, response) => {
      const grant = grants.get(headers.authorization?.replace(/^Bearer /, '') ?? '')
      if (grant === undefined || params.has('access_token')) provider.problems.push('userinfo: no Bearer header')
      const claims = apply((mutation) => mutation.userinfo, {
        sub: grant?.subject, name: 'Nanni', email: 'nanni@example.org', address: { locality: 'Ur' }, phone_number: '+1'
      })
      if (first('signedUserinfo') !== true) return send(response, 200, claims)
      const jwt = await sign({ iss: issuer, aud: full.clientId, ...claims })
      response.writeHead(200, { 'content-type': 'application/jwt' }).end(jwt)
    },
    revoke: async (call, response) => {
      provider.problems.push(...await verifyClient(call, full))
      response.writeHead(200).end()
    },
    stolen: async (_call, response) => {
      provider.problems.push('a redirect was followed')
      response.end()
    }
  }

  /** A code once; a refresh token as often as it comes. */
  function redeem (params: URLSearchParams): Grant | undefined {
    const code = params.get('code') ?? ''
    const grant = codes.get(code)
    codes.delete(code)
    if (params.get('grant_type') === 'refresh_token') return grants.get(params.get('refresh_token') ?? '')
    if (grant === undefined) return undefined
    const challenge = createHash('sha256').update(params.get('code_verifier') ?? '').digest('base64url')
    if (challenge !== grant.params.get('code_challenge')) provider.problems.push('token: the verifier is another one')
    if (params.get('redirect_uri') !== grant.params.get('redirect_uri')) provider.problems.push('token: redirect_uri differs')
    return grant
  }

  async function tokensFor (grant: Grant): Promise<Json> {
    const { params, subject } = grant
    const accessToken = `at-${randomBytes(16).toString('hex')}`
    const refreshToken = `rt-${randomBytes(16).toString('hex')}`
    for (const token of [accessToken, refreshToken]) grants.set(token, grant)
    const hash = createHash('sha256').update(accessToken).digest().subarray(0, 16).toString('base64url')
    const now = Math.floor(clock() / 1000)
    const claims = apply((mutation) => mutation.claims, {
      iss: issuer,
      sub: subject,
      aud: full.clientId,
      iat: now,
      exp: now + 300,
      nonce: params.get('nonce'),
      at_hash: hash,
      sid: 'provider-sid',
      name: 'Nanni',
      roles: ['merchant'],
      ...(params.has('max_age') ? { auth_time: now } : {}),
      ...(params.has('acr_values') ? { acr: params.get('acr_values')?.split(' ')[0] } : {})
    } as Json)
    return {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: 300,
      scope: params.get('scope'),
      refresh_token: refreshToken,
      id_token: await sign(claims)
    }
  }

  /** The authorization response, in the mode that was asked for. */
  async function answer (
    params: URLSearchParams, right: Record<string, string>, response: ServerResponse
  ): Promise<void> {
    const mode = params.get('response_mode') ?? 'query'
    let fields = right
    if (mode.endsWith('jwt')) {
      const claims = apply((mutation) => mutation.jarm, {
        ...right, iss: issuer, aud: full.clientId, exp: Math.floor(clock() / 1000) + 300
      } as Json)
      fields = { response: await sign(claims) }
    }
    const pairs = Object.entries(fields)
    const sent = mutations.reduce((so, mutation) => mutation.answer?.(fields, right) ?? so, pairs)
    const target = params.get('redirect_uri') ?? ''
    if (!mode.startsWith('form_post')) {
      response.writeHead(302, { location: `${target}?${new URLSearchParams(sent).toString()}` }).end()
      return
    }
    const inputs = sent.map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`).join('')
    response.writeHead(200, { 'content-type': 'text/html' })
      .end(`<body onload="document.forms[0].submit()"><form method="post" action="${target}">${inputs}</form></body>`)
  }

  async function serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', issuer)
    const endpoint = url.pathname.slice(1)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const params = request.method === 'POST' ? new URLSearchParams(Buffer.concat(chunks).toString()) : url.searchParams
    const call = { endpoint, method: request.method ?? '', headers: request.headers, params }
    provider.calls.push(call)
    for (const look of waiting.splice(0)) look()
    if (first('hang') === endpoint) return
    await provider.hold(call)
    const handler = endpoints[endpoint]
    if (handler === undefined) response.writeHead(404).end()
    else await handler(call, response)
  }

  const provider: MisbehavingProvider = {
    issuer,
    clientId: full.clientId,
    clientSecret: full.clientSecret,
    calls: [],
    problems: [],
    subject: 'u1',
    hold: async () => {},
    mutate: (...names) => { mutations = names.map(mutationNamed) },
    also: (mutation) => { mutations = [...mutations, mutation] },
    rotate: (name) => { kid = name },
    count: (endpoint) => provider.calls.filter((call) => call.endpoint === endpoint).length,
    reaches: async (endpoint, count) => {
      while (provider.count(endpoint) < count) await new Promise<void>((resolve) => { waiting.push(resolve) })
    },
    stop: async () => {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
    start: async () => {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    }
  }
  t.teardown(async () => { await provider.stop() })
  return provider
}

function send (response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
