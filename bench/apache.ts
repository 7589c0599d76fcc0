// Apache with mod_auth_openidc in client-cookie mode as a target of the throughput bench, with a real login.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { Agent, request } from 'undici'
import { check } from './load.ts'
import { answering, folder, freePort, has, launch, type Target } from './targets.ts'
import { keycloak } from './token-sets.ts'

const MODULES = '/usr/lib/apache2/modules'
const COOKIE = 'mod_auth_openidc_session'
const tokens = keycloak()
const unverified = new Agent({ connect: { rejectUnauthorized: false }, keepAliveTimeout: 1 })

/** Whether Apache, its module and what makes a certificate are here. */
export const hasApache = has('apache2') && has('openssl') && existsSync(join(MODULES, 'mod_auth_openidc.so'))

/** Starts it and logs in; checks that the upstream gets the token, and no cookie of the module. */
export async function startApache (upstream: string): Promise<Target> {
  const provider = await startProvider()
  const port = await freePort()
  const cookies = join(folder, 'apache.cookies')
  writeFileSync(join(folder, 'apache.conf'), configuration(port, upstream, provider))
  mkdirSync(join(folder, 'apache'))
  const child = launch(0, 'apache2', ['-D', 'FOREGROUND', '-f', join(folder, 'apache.conf')])
  await answering(port)
  // After a minute the module writes the session anew on each request that still brings the old cookie.
  const prepare = async (): Promise<void> => { writeFileSync(cookies, `${await signIn(port)}; theme=dark\n`) }
  const target: Target = { name: 'mod_auth_openidc', port, cookies, sessions: 1, process: child, prepare }
  await prepare()
  const response = await check(target)
  await check(target, '/recorded')
  const { authorization, cookie } = provider.recorded()
  if (authorization !== `Bearer ${tokens.accessToken}`) throw new Error(`Apache sends on: ${authorization ?? 'no token'}`)
  if (cookie !== 'theme=dark') throw new Error(`Apache sends on the cookies: ${cookie ?? 'none'}`)
  if (response.headers.has('set-cookie')) throw new Error('Apache writes the session again on a request that only reads')
  return target
}

function configuration (port: number, upstream: string, { url, recorder }: Provider): string {
  const modules = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers', 'proxy', 'proxy_http', 'auth_openidc']
  return `ServerRoot ${folder}
ServerName localhost
DefaultRuntimeDir ${folder}/apache
PidFile ${folder}/apache.pid
ErrorLog ${folder}/apache.log
LogLevel crit
User www-data
Group www-data
Listen 127.0.0.1:${port}
${modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
ServerLimit 1
StartServers 1
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 128
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
OIDCProviderIssuer ${url}
OIDCProviderAuthorizationEndpoint ${url}/authorize
OIDCProviderTokenEndpoint ${url}/token
OIDCProviderTokenEndpointAuth client_secret_post
OIDCProviderJwksUri ${url}/jwks
OIDCSSLValidateServer Off
OIDCClientID app
OIDCClientSecret a-client-secret-of-a-bench
OIDCRedirectURI http://127.0.0.1:${port}/signed-in
OIDCScope "openid profile email offline_access"
OIDCCryptoPassphrase a-passphrase-of-a-bench-of-32-characters
OIDCSessionType client-cookie
OIDCSessionInactivityTimeout 36000
OIDCSessionMaxDuration 40000
OIDCCookieHTTPOnly On
OIDCPassClaimsAs environment
OIDCPassRefreshToken Off
OIDCStripCookies ${['', '_chunks', '_0', '_1', '_2', '_3'].map((end) => COOKIE + end).join(' ')}
<Location />
  AuthType openid-connect
  Require valid-user
  RequestHeader set Authorization "Bearer %{OIDC_access_token}e" env=OIDC_access_token
</Location>
ProxyPass /api ${upstream}/api enablereuse=On keepalive=On
ProxyPass /recorded ${recorder}/recorded
`
}

/** Walks through a login, as a browser does. @returns the session's `Cookie` header */
async function signIn (port: number): Promise<string> {
  const jar = new Map<string, string>()
  let url = `http://127.0.0.1:${port}/api/orders`
  // The module writes a new session once more on its first request, which is the last one here.
  for (let step = 0; step < 10; step++) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const own = new URL(url).port === String(port)
    const { statusCode, headers, body } =
      await request(url, { headers: own ? { accept: 'text/html', cookie } : {}, dispatcher: unverified })
    await body.dump()
    for (const header of [headers['set-cookie'] ?? []].flat()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(header) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    if (statusCode === 200) return [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    if (statusCode !== 302) throw new Error(`the login at Apache: ${url} answers ${statusCode}`)
    url = String(headers.location)
  }
  throw new Error('the login at Apache never ends')
}

interface Provider {
  readonly url: string
  /** Another address of it, without TLS, for what Apache sends on. */
  readonly recorder: string
  /** The header of the last request to `/recorded`. */
  readonly recorded: () => IncomingHttpHeaders
}

/**
 * As much of an OpenID provider as a login needs. The module takes endpoints one by one by https only; from
 * a metadata URL it would read the metadata again for each request.
 */
async function startProvider (): Promise<Provider> {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const key = { ...await exportJWK(publicKey), kid: 'bench', alg: 'RS256', use: 'sig' }
  const nonces = new Map<string, string>()
  let recorded: IncomingHttpHeaders = {}
  let url = ''
  const json = (response: ServerResponse, body: object): void => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', url)
    if (pathname === '/authorize') {
      const code = String(nonces.size)
      nonces.set(code, searchParams.get('nonce') ?? '')
      const back = new URLSearchParams({ code, state: searchParams.get('state') ?? '' })
      response.writeHead(302, { location: `${searchParams.get('redirect_uri')}?${back.toString()}` }).end()
    } else if (pathname === '/token') {
      const form = new URLSearchParams(Buffer.concat(await incoming.toArray()).toString())
      const idToken = await new SignJWT({ ...tokens.claims, nonce: nonces.get(form.get('code') ?? ''), sid: tokens.providerSid })
        .setProtectedHeader({ alg: 'RS256', kid: 'bench' })
        .setIssuer(url).setAudience('app').setSubject(tokens.subject).setIssuedAt().setExpirationTime('10h').sign(privateKey)
      json(response, {
        access_token: tokens.accessToken, refresh_token: tokens.refreshToken, id_token: idToken, token_type: 'Bearer', expires_in: 36_000
      })
    } else if (pathname === '/jwks') json(response, { keys: [key] })
    else {
      recorded = incoming.headers
      json(response, {})
    }
  }
  const listener = (incoming: IncomingMessage, response: ServerResponse): void => {
    answer(incoming, response).catch(() => { response.destroy() })
  }
  url = `https://127.0.0.1:${await listen(createTlsServer(certificate(), listener))}`
  const recorder = `http://127.0.0.1:${await listen(createServer(listener))}`
  return { url, recorder, recorded: () => recorded }
}

async function listen (server: Server): Promise<number> {
  server.listen(0, '127.0.0.1').unref()
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function certificate (): { key: Buffer, cert: Buffer } {
  const [key, cert] = [join(folder, 'provider.key'), join(folder, 'provider.crt')]
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1', '-keyout', key, '-out', cert]
  execFileSync('openssl', args, { stdio: 'ignore' })
  return { key: readFileSync(key), cert: readFileSync(cert) }
}
