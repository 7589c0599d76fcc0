// The guard as a decision table: every combination, against a rule that is written down twice.
import t from 'tap'
import { request, type Dispatcher } from 'undici'
import { isSocketOriginAllowed, refusal, type GuardPolicy } from '../../src/security/csrf.ts'
import { preflightHeaders } from '../../src/security/cors.ts'
import { build } from '../support/build.ts'
import { sessionCookie } from '../support/session-cookie.ts'
import { startUpstream } from '../support/upstream.ts'

const OWN = 'https://app.example'
const LISTED = 'https://admin.app.example'
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
const SITES = [undefined, 'same-origin', 'same-site', 'cross-site', 'none', 'unknown', '', 'same-origin, same-origin']
const MODES = [undefined, 'navigate', 'cors', 'no-cors', 'same-origin', 'websocket', 'unknown']
const ORIGINS = [undefined, OWN, LISTED, 'null', 'http://app.example', 'https://app.example:444', 'https://app.example.evil', `${OWN}, ${OWN}`, '']
const MARKERS = [undefined, '', '1', '0']

interface Case {
  method: string
  site: string | undefined
  mode: string | undefined
  origin: string | undefined
  marker: string | undefined
}

/** The rule in other words: whether anything speaks against the request, then whether anything for it. */
function expected (policy: GuardPolicy, { method, site, mode, origin, marker }: Case): string | null {
  const isListed = origin === LISTED && policy.allowed?.has(LISTED) === true
  const knownSites = ['same-origin', 'same-site', 'cross-site', 'none']
  const typed = policy.mode === 'fetch-metadata' && site === 'none' && method === 'GET' && mode === 'navigate'
  const againstOrigin = origin !== undefined && origin !== OWN && !isListed
  const againstSite = !isListed && site !== undefined && site !== 'same-origin' && !typed &&
    (knownSites.includes(site) || site.includes(','))
  if (againstOrigin || againstSite) return 'csrf_origin_refused'
  const hasMarker = marker !== undefined && marker.length > 0
  const speaksForItself = (site !== undefined && (knownSites.includes(site) || site.includes(','))) || origin !== undefined
  return hasMarker || (policy.mode === 'fetch-metadata' && speaksForItself) ? null : 'csrf_header_missing'
}

t.test('BBA-10 BBA-11 BBA-12 BBA-13 CSR-01 CSR-03 CSR-04 CSR-05 every combination is decided by the rule', async (t) => {
  let count = 0
  for (const guardMode of ['header', 'fetch-metadata'] as const) {
    for (const allowed of [new Set<string>(), new Set([LISTED])]) {
      const policy: GuardPolicy = { mode: guardMode, header: 'x-csrf', origin: OWN, allowed }
      for (const method of METHODS) {
        for (const site of SITES) {
          for (const mode of MODES) {
            for (const origin of ORIGINS) {
              for (const marker of MARKERS) {
                const headers = Object.fromEntries(Object.entries({ 'sec-fetch-site': site, 'sec-fetch-mode': mode, origin, 'x-csrf': marker })
                  .filter(([, value]) => value !== undefined))
                const found = refusal(policy, method, headers)
                const wanted = expected(policy, { method, site, mode, origin, marker })
                if (found !== wanted) t.fail(`${guardMode} ${method} ${JSON.stringify(headers)}: ${found}, not ${wanted}`)
                count += 1
              }
            }
          }
        }
      }
    }
  }
  t.equal(count, 2 * 2 * 7 * 8 * 7 * 9 * 4)
})

t.test('BBA-11 BBA-13 CSR-01/02 CSR-04 CSR-05 S21 the cases that matter, one by one', async (t) => {
  const policy = (mode: GuardPolicy['mode']): GuardPolicy => ({ mode, header: 'x-csrf', origin: OWN })
  const cases: Array<[GuardPolicy['mode'], string, Record<string, string>, string | null]> = [
    ['header', 'POST', {}, 'csrf_header_missing'],
    ['header', 'GET', { 'sec-fetch-site': 'same-origin' }, 'csrf_header_missing'],
    ['header', 'GET', { 'x-csrf': '1' }, null],
    ['header', 'POST', { 'x-csrf': '1', 'sec-fetch-site': 'same-origin', origin: OWN }, null],
    ['header', 'POST', { 'x-csrf': '1', 'sec-fetch-site': 'same-site', origin: 'https://sibling.example' }, 'csrf_origin_refused'],
    ['header', 'GET', { 'x-csrf': '1', 'sec-fetch-site': 'cross-site' }, 'csrf_origin_refused'],
    ['header', 'GET', { 'x-csrf': '1', 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }, 'csrf_origin_refused'],
    ['header', 'POST', { 'x-csrf': '1', origin: 'null' }, 'csrf_origin_refused'],
    ['fetch-metadata', 'GET', { 'sec-fetch-site': 'same-origin' }, null],
    ['fetch-metadata', 'GET', { 'sec-fetch-site': 'same-site' }, 'csrf_origin_refused'],
    ['fetch-metadata', 'GET', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }, null],
    ['fetch-metadata', 'POST', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }, 'csrf_origin_refused'],
    ['fetch-metadata', 'POST', { origin: OWN }, null],
    ['fetch-metadata', 'GET', {}, 'csrf_header_missing'],
    ['fetch-metadata', 'GET', { 'x-csrf': '1' }, null]
  ]
  for (const [mode, method, headers, wanted] of cases) {
    t.equal(refusal(policy(mode), method, headers), wanted, `${mode} ${method} ${JSON.stringify(headers)}`)
  }
})

t.test('WSS-01 a socket needs an exact Origin', async (t) => {
  const policy: GuardPolicy = { mode: 'header', header: 'x-csrf', origin: OWN, allowed: new Set([LISTED]) }
  for (const origin of ORIGINS) {
    t.equal(isSocketOriginAllowed(policy, origin), origin === OWN || origin === LISTED, String(origin))
  }
})

t.test('BBA-14 CSR-06 preflights name only what can be a header', async (t) => {
  t.equal(preflightHeaders('x-csrf, content-type')['access-control-allow-headers'], 'x-csrf, content-type')
  for (const bad of [undefined, '', 'a b', 'x\r\ny', 'a'.repeat(2000)]) t.equal(preflightHeaders(bad)['access-control-allow-headers'], undefined)
})

t.test('CSR-08 CSR-10 a refusal comes before any session work and touches no cookie', async (t) => {
  const upstream = await startUpstream(t)
  const built = await build(t, { settings: { routes: [{ prefix: '/api', upstream: upstream.url }] } })
  const cookie = await sessionCookie(built)
  const cases: Array<[Record<string, string>, string]> = [
    [{ cookie }, 'csrf_header_missing'],
    [{ cookie, 'x-csrf': '1', origin: 'https://evil.example' }, 'csrf_origin_refused'],
    [{ cookie, 'x-csrf': '1', 'sec-fetch-site': 'same-site' }, 'csrf_origin_refused']
  ]
  for (const path of ['/api/x', '/bff/session']) {
    for (const [headers, code] of cases) {
      const answer = await fetch(built.url + path, { headers })
      t.equal(answer.status, 403)
      t.equal(answer.headers.get('bulla-error'), code)
      t.equal(answer.headers.get('set-cookie'), null)
      t.equal(answer.headers.get('cross-origin-resource-policy'), 'same-origin')
    }
  }
  t.equal(upstream.requests.length, 0)
})

t.test('BBA-14 PRX-12 CSR-06 a listed origin gets CORS from us, another gets none, the upstream is not asked', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => { response.writeHead(200, { 'access-control-allow-origin': '*' }).end('{}') })
  const built = await build(t, { settings: { routes: [{ prefix: '/api', upstream: upstream.url }], allowed_origins: [LISTED] } })
  const cookie = await sessionCookie(built)
  const preflight = { origin: LISTED, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-csrf' }
  for (const path of ['/api/x', '/bff/session', '/nowhere']) {
    const answer = await fetch(built.url + path, { method: 'OPTIONS', headers: preflight })
    t.equal(answer.status, 204)
    t.equal(answer.headers.get('access-control-allow-origin'), LISTED)
    t.equal(answer.headers.get('access-control-allow-credentials'), 'true')
    t.equal(answer.headers.get('access-control-allow-headers'), 'x-csrf')
    t.match(answer.headers.get('vary'), /Origin/)
  }
  const tooLong = await fetch(`${built.url}/api/x?${'q'.repeat(9000)}`, { method: 'OPTIONS', headers: preflight })
  t.equal(tooLong.status, 414, 'a preflight keeps to the limits, too')
  for (const origin of ['https://evil.example', 'https://xadmin.app.example', `${LISTED}.evil`, 'null', LISTED.toUpperCase()]) {
    const refused = await fetch(`${built.url}/api/x`, { method: 'OPTIONS', headers: { ...preflight, origin } })
    t.equal(refused.headers.get('access-control-allow-origin'), null, origin)
    const call = await fetch(`${built.url}/api/x`, { headers: { cookie, 'x-csrf': '1', origin } })
    t.equal(call.status, 403)
    t.equal(call.headers.get('access-control-allow-origin'), null)
  }
  t.equal(upstream.requests.length, 0)
  const headers = { cookie, 'x-csrf': '1', origin: LISTED, 'sec-fetch-site': 'same-site' }
  const call = await fetch(`${built.url}/api/x`, { headers })
  t.equal(call.status, 200)
  t.equal(call.headers.get('access-control-allow-origin'), LISTED)
  t.equal(call.headers.get('access-control-expose-headers'), 'Bulla-Error')
  const error = await fetch(`${built.url}/api/x`, { headers: { ...headers, cookie: '' } })
  t.equal(error.status, 401)
  t.equal(error.headers.get('access-control-allow-origin'), LISTED, 'the app may read why')
})

t.test('WSS-07 a fetch-metadata route takes what cannot send the header; a navigation without session logs in and comes back', async (t) => {
  const upstream = await startUpstream(t)
  const built = await build(t, { settings: { routes: [{ prefix: '/files', upstream: upstream.url, csrf: 'fetch-metadata' }] } })
  const cookie = await sessionCookie(built)
  // fetch would overwrite Sec-Fetch-Mode.
  const get = async (headers: Record<string, string>): Promise<Dispatcher.ResponseData> => {
    const answer = await request(`${built.url}/files/a.pdf?v=1&w=2`, { headers })
    await answer.body.dump()
    return answer
  }
  t.equal((await get({ cookie, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'no-cors' })).statusCode, 200)
  t.equal((await get({ cookie, 'sec-fetch-site': 'same-site' })).statusCode, 403)
  const navigation = { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }
  t.equal((await get({ cookie, ...navigation })).statusCode, 200)
  const answer = await get(navigation)
  t.equal(answer.statusCode, 302)
  t.equal(answer.headers.location, `/bff/login?return_to=${encodeURIComponent('/files/a.pdf?v=1&w=2')}`)
  t.match(answer.headers['cache-control'], /no-store/)
  t.equal((await get({ 'sec-fetch-site': 'same-origin' })).statusCode, 401)
})
