// Where a login may end: local paths that every parser reads alike, and none that Bulla or an API answers.

/** The most characters of a `return_to`. */
export const MAX_RETURN_TO = 2048

/** A path of printable ASCII, without backslash, second slash or encoded separators in front. */
const SAFE = /^\/(?![/\\])[!-[\]-~]*$/

/** What `return_to` may point to. */
export interface ReturnToPolicy {
  readonly origin: string
  /** Prefixes that are no pages of the app, and whether a navigation may end there all the same. */
  readonly prefixes: ReadonlyArray<{ readonly prefix: string, readonly allowed: boolean }>
}

/**
 * The policy of a deployment: nothing under the base path; of the routes only those that navigations may
 * call,
 * which are those of `csrf: fetch-metadata`.
 *
 * @param origin the app's own
 * @param basePath `/bff`
 * @param routes as configured
 */
export function createReturnToPolicy (
  origin: string, basePath: string, routes: ReadonlyArray<{ readonly prefix: string, readonly csrf: string }>
): ReturnToPolicy {
  const prefixes = routes.map(({ prefix, csrf }) => ({ prefix: prefix.toLowerCase(), allowed: csrf === 'fetch-metadata' }))
  prefixes.push({ prefix: basePath.toLowerCase(), allowed: false })
  return { origin, prefixes: prefixes.sort((a, b) => b.prefix.length - a.prefix.length) }
}

/**
 * Checks a `return_to`.
 *
 * @param value what was asked for
 * @param policy what is forbidden
 * @returns the very value, or `null` if it is not acceptable
 * @see https://www.rfc-editor.org/rfc/rfc9700#section-4.11
 */
export function acceptedReturnTo (value: string, policy: ReturnToPolicy): string | null {
  if (value.length > MAX_RETURN_TO || !SAFE.test(value)) return null
  const url = URL.canParse(value, policy.origin) ? new URL(value, policy.origin) : null
  if (url === null || url.origin !== policy.origin) return null
  const written = decodedPath(value)
  const resolved = decodedPath(url.pathname)
  if (written === null || resolved === null) return null
  // RDR-02: what is emitted is parsed once more by others, so no reading of the path may start with two
  // slashes,
  // now or after one more decoding.
  if (AMBIGUOUS.test(written) || AMBIGUOUS.test(resolved)) return null
  const isForbidden = [written, resolved].some((path) => routeOf(path, policy)?.allowed === false)
  return isForbidden ? null : value
}

/**
 * Whether an acceptable `return_to` is an API route, which answers same-origin navigations only.
 *
 * @param value an acceptable path
 * @param policy of the deployment
 */
export function isRoutePath (value: string, policy: ReturnToPolicy): boolean {
  return routeOf(decodedPath(value) ?? '', policy) !== undefined
}

/** Two separators in a row, backslashes, control characters. */
const AMBIGUOUS = /\/\/|\\|[\p{Cc}]/u

/** The longest prefix wins, as it does for the routes themselves. */
function routeOf (path: string, policy: ReturnToPolicy): { readonly allowed: boolean } | undefined {
  const lower = path.toLowerCase()
  return policy.prefixes.find(({ prefix }) => lower === prefix || lower.startsWith(`${prefix}/`))
}

function decodedPath (value: string): string | null {
  try {
    return decodeURIComponent(value.split(/[?#]/, 1)[0] ?? '')
  } catch {
    return null
  }
}
