// The settings of the routes held against one another: paths, upstreams, methods, headers, tokens.
import { METHODS } from 'node:http'
import type { RouteConfig, Settings } from './schema.ts'
import { arrayOf, HEADER_NAME, LOCAL_PATH, parseUrl } from './values.ts'

/**
 * Checks every route.
 *
 * @param settings defaults filled in
 * @param problems where faults are added
 */
export function checkRoutes (settings: Settings, problems: string[]): void {
  const prefixes = new Set<string>()
  arrayOf(settings.routes).forEach((route, index) => {
    if (typeof Object(route).prefix !== 'string' || typeof route.upstream !== 'string') return
    checkRoute(route, `routes.${index}`, settings, problems)
    if (prefixes.has(route.prefix)) problems.push(`routes.${index}.prefix ${route.prefix} is taken by an earlier route.`)
    prefixes.add(route.prefix)
  })
}

function checkRoute (route: RouteConfig, where: string, settings: Settings, problems: string[]): void {
  if (!/^(?:\/[A-Za-z0-9._~-]+)+$/.test(route.prefix) || /\/\.{1,2}(\/|$)/.test(route.prefix)) {
    problems.push(`${where}.prefix must be a path such as /api, without trailing slash.`)
  } else if (`${route.prefix}/`.startsWith(`${settings.base_path}/`)) {
    problems.push(`${where}.prefix lies under base_path ${settings.base_path}.`)
  }
  const url = parseUrl(route.upstream)
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '') {
    problems.push(`${where}.upstream must be an http or https URL without credentials, query and fragment.`)
  }
  if (route.rewrite_prefix !== undefined && route.rewrite_prefix !== '' && !LOCAL_PATH.test(route.rewrite_prefix)) {
    problems.push(`${where}.rewrite_prefix must be empty or a path such as /v1.`)
  }
  for (const method of arrayOf(route.methods)) {
    if (!METHODS.includes(method) || method === 'CONNECT' || method === 'TRACE') {
      problems.push(`${where}.methods names ${method}: use upper-case HTTP methods; CONNECT and TRACE are never forwarded.`)
    }
  }
  checkHeaderChanges(route, where, problems)
  checkToken(route, where, settings, problems)
  if (route.cache === 'public' && route.token !== 'none') {
    problems.push(`${where}.cache can be public only with token: none.`)
  }
}

/** Headers that frame messages or carry the credentials: what Bulla does with them is not up for change. */
const FIXED_HEADERS: ReadonlySet<string> = new Set([
  'authorization', 'bulla-error', 'connection', 'content-length', 'cookie', 'host', 'keep-alive', 'set-cookie', 'te', 'trailer',
  'transfer-encoding', 'upgrade'
])

function checkHeaderChanges (route: RouteConfig, where: string, problems: string[]): void {
  for (const setting of ['request_headers', 'response_headers'] as const) {
    const changes = route[setting]
    if (typeof changes !== 'object') continue
    const set = Object.entries(changes.set ?? {})
    for (const name of [...set.map(([header]) => header), ...arrayOf(changes.remove)]) {
      if (!HEADER_NAME.test(name)) problems.push(`${where}.${setting}: ${name} is no header name.`)
      else if (FIXED_HEADERS.has(name.toLowerCase())) problems.push(`${where}.${setting} cannot change ${name}.`)
    }
    for (const [name, value] of set) {
      if (!/^[\t\x20-\x7e]*$/.test(value)) problems.push(`${where}.${setting}.set.${name} must be printable ASCII.`)
    }
  }
}

type Target = Pick<RouteConfig, 'resource' | 'audience' | 'scope'>

/** A token of the route's own: where it can come from. */
function checkToken (route: RouteConfig, where: string, settings: Settings, problems: string[]): void {
  const { token, exchange, resource, audience, scope } = route
  const isNamed = resource !== undefined || audience !== undefined || scope !== undefined
  checkTarget(route, where, problems)
  if (exchange !== undefined) checkTarget(Object(exchange) as Target, `${where}.exchange`, problems)
  if (token === 'none' && (isNamed || exchange !== undefined)) {
    problems.push(`${where}: a route with token: none has no use for resource, audience, scope and exchange.`)
  } else if (exchange !== undefined && token === 'client') {
    problems.push(`${where}.exchange needs the token of a person: with token: client leave it out.`)
  } else if (exchange !== undefined && isNamed) {
    problems.push(`${where}: put resource, audience and scope into exchange, or leave exchange out.`)
  } else if (isNamed && token !== 'client' && settings.refresh?.mode === 'browser') {
    problems.push(`${where}: in refresh.mode browser no refresh token comes with calls; use exchange in place of resource, audience and scope.`)
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc8707#section-2 */
function checkTarget ({ resource, scope }: Target, where: string, problems: string[]): void {
  if (typeof resource === 'string' && (parseUrl(resource) === null || resource.includes('#'))) {
    problems.push(`${where}.resource must be an absolute URI without fragment, such as https://api.example.`)
  }
  if (typeof scope === 'string' && !SCOPE.test(scope)) {
    problems.push(`${where}.scope must be words of printable ASCII, separated by one space each.`)
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc6749#section-3.3 */
const SCOPE = /^[!#-[\]-~]+(?: [!#-[\]-~]+)*$/
