// What a schema cannot say: rules between settings, URLs, paths and keys; each fault names setting and fix.
import { accessSync, constants, existsSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { isLoopback } from '../lib/loopback.ts'
import { parsePeer } from '../lib/peer.ts'
import { ringFaults } from '../lib/ring-key.ts'
import { checkAggregates } from './check-aggregates.ts'
import { checkLogin } from './check-login.ts'
import { checkRoutes } from './check-routes.ts'
import type { Settings } from './schema.ts'
import { arrayOf, HEADER_NAME, LOCAL_PATH, parseUrl } from './values.ts'

/**
 * Checks settings that fit the schema, or nearly so: whatever is missing is passed over, since the schema
 * has reported it.
 *
 * @param settings defaults filled in
 * @param problems where faults are added
 */
export function checkSettings (settings: Settings, problems: string[]): void {
  checkPublicUrl(settings, problems)
  checkIssuer(settings, problems)
  checkLogin(settings, problems)
  checkSecrets(settings, problems)
  checkPaths(settings, problems)
  checkRoutes(settings, problems)
  checkAggregates(settings, problems)
  checkCookies(settings, problems)
  checkSession(settings, problems)
  checkTrustedProxies(settings, problems)
  checkAllowedOrigins(settings, problems)
  checkLogout(settings, problems)
  checkFiles(settings, problems)
}

function checkPublicUrl (settings: Settings, problems: string[]): void {
  if (typeof settings.public_url !== 'string') return
  const url = parseUrl(settings.public_url)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    problems.push('public_url must be a URL such as https://app.example.')
  } else if (url.origin !== settings.public_url.replace(/\/$/, '').toLowerCase()) {
    problems.push('public_url must be an origin only: scheme, host and port, without path, query or default port.')
  } else if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    problems.push('public_url must be https; http is for loopback hosts such as http://localhost:3000 only.')
  } else {
    settings.public_url = url.origin
  }
}

function checkIssuer (settings: Settings, problems: string[]): void {
  if (typeof settings.issuer !== 'string') return
  const url = parseUrl(settings.issuer)
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '' || url.username !== '') {
    problems.push('issuer must be an https URL without query and fragment.')
  } else if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    problems.push('issuer must be https; http is for loopback hosts only.')
  }
  if (typeof settings.scope === 'string' && !settings.scope.split(' ').includes('openid')) {
    problems.push('scope must contain openid: Bulla reads who logged in from the ID token.')
  }
  for (const alg of arrayOf(settings.id_token_signing_alg)) {
    if (!ASYMMETRIC_ALGS.includes(alg)) {
      problems.push(`id_token_signing_alg names ${alg}: only ${ASYMMETRIC_ALGS.join(', ')} can be used.`)
    }
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc8725#section-3.1 */
const ASYMMETRIC_ALGS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

function checkSecrets (settings: Settings, problems: string[]): void {
  if (settings.keys === undefined || settings.keys.length === 0) {
    if (settings.keys_file === undefined || settings.keys?.length === 0) {
      problems.push('keys is required: make one with "bulla keys generate" and set BULLA_KEYS or BULLA_KEYS_FILE.')
    }
    return
  }
  for (const fault of ringFaults(settings.keys)) problems.push(`keys: ${fault}.`)
}

function checkPaths (settings: Settings, problems: string[]): void {
  if (!/^(?:\/[A-Za-z0-9_-]+)+$/.test(settings.base_path)) {
    problems.push('base_path must be a path such as /bff, of letters, digits, - and _.')
  }
  for (const name of ['default_return_to', 'post_logout_page'] as const) {
    if (!LOCAL_PATH.test(settings[name])) problems.push(`${name} must be a local path such as /.`)
  }
}

function checkAllowedOrigins (settings: Settings, problems: string[]): void {
  for (const entry of arrayOf(settings.allowed_origins)) {
    const url = parseUrl(entry)
    const isExact = url !== null && /^https?:$/.test(url.protocol) && url.origin === entry && !entry.includes('*')
    if (!isExact) {
      problems.push(`allowed_origins: ${entry} must be an exact origin such as https://app.example, without path and default port.`)
    } else if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
      problems.push(`allowed_origins: ${entry} must be https; http is for loopback hosts only.`)
    }
  }
}

function checkCookies (settings: Settings, problems: string[]): void {
  const prefix = settings.cookie?.prefix
  if (prefix === undefined || typeof settings.public_url !== 'string') return
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(prefix)) {
    problems.push('cookie.prefix must be 1 to 64 letters, digits, - and _.')
  } else if (prefix.startsWith('__') && settings.public_url.startsWith('http://')) {
    problems.push('cookie.prefix: browsers refuse __-prefixed cookies over http; leave it out in development.')
  } else if (settings.public_url.startsWith('https://') && !prefix.startsWith('__Host-')) {
    problems.push('cookie.prefix must start with __Host- (better __Host-Http-), so that no sibling host can plant a cookie.')
  }
}

/** Browsers keep no cookie longer, whatever it says (COK-11). */
const MAX_COOKIE_AGE = 400 * 86_400

/** What a page of any origin may send, or a browser sends by itself: no proof that our own app is calling. */
const NO_PROOF: ReadonlySet<string> = new Set([
  'accept', 'accept-charset', 'accept-encoding', 'accept-language', 'connection', 'content-language', 'content-length',
  'content-type', 'cookie', 'host', 'origin', 'range', 'referer', 'user-agent'
])

function checkSession (settings: Settings, problems: string[]): void {
  const maxAge = settings.session?.max_age
  if (maxAge !== undefined && (maxAge < 1 || maxAge > MAX_COOKIE_AGE)) {
    problems.push('session.max_age must be from 1s to 400d: a session always ends, and browsers keep no cookie longer.')
  }
  const header = settings.csrf?.header
  if (typeof header === 'string' && (!HEADER_NAME.test(header) || isNoProof(header.toLowerCase()))) {
    problems.push('csrf.header must be a header of your own, such as x-csrf, that no other page can send without CORS.')
  }
}

function isNoProof (header: string): boolean {
  return NO_PROOF.has(header) || /^(?:sec|proxy)-/.test(header)
}

function checkTrustedProxies (settings: Settings, problems: string[]): void {
  for (const entry of arrayOf(settings.trusted_proxies)) {
    if (!isAddressRange(entry)) problems.push(`trusted_proxies: ${entry} is no IP address or CIDR range.`)
  }
}

function isAddressRange (entry: string): boolean {
  const [address = '', bits, ...rest] = entry.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  try {
    if (bits !== undefined) new BlockList().addSubnet(address, Number(bits), version === 4 ? 'ipv4' : 'ipv6')
    return bits === undefined || /^\d+$/.test(bits)
  } catch {
    return false
  }
}

function checkLogout (settings: Settings, problems: string[]): void {
  for (const entry of arrayOf(settings.clear_site_data)) {
    if (!['cache', 'storage', 'off'].includes(entry)) {
      // RPI-11: "cookies" ends the sessions of every app of the domain, and that at the authorization server.
      problems.push(`clear_site_data names ${entry}: only cache, storage or off can be used.`)
    }
  }
  for (const entry of arrayOf(settings.peers)) {
    if (parsePeer(entry) === null) problems.push(`peers: ${entry} must be dns:host:port or an origin such as https://bulla-1.internal.`)
  }
}

function checkFiles (settings: Settings, problems: string[]): void {
  for (const name of ['upstream_ca', 'issuer_ca'] as const) {
    const path = settings[name]
    if (path !== undefined && !isReadable(path)) problems.push(`${name}: the file ${path} cannot be read.`)
  }
  if (settings.spa === undefined) return
  if (!/^https?:\/\//.test(settings.spa)) {
    if (!existsSync(settings.spa)) problems.push(`spa: the folder ${settings.spa} does not exist.`)
  } else if (parseUrl(settings.spa)?.origin !== settings.spa.replace(/\/$/, '')) {
    problems.push('spa must be a folder, or the origin of a development server such as http://localhost:5173.')
  }
}

function isReadable (path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return true
  } catch {
    return false
  }
}
