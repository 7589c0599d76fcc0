// Where a login may end: local paths that every parser reads alike, and none that Bulla or an API answers.

const MAX_LENGTH = 2048

/** A path of printable ASCII, without backslash, second slash or encoded separators in front. */
const SAFE = /^\/(?![/\\])[!-[\]-~]*$/

/** What `return_to` may not point to. */
export interface ReturnToPolicy {
  readonly origin: string
  /** Paths under which nothing is a page: `/bff` and the routes. */
  readonly forbidden: readonly string[]
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
  if (value.length > MAX_LENGTH || !SAFE.test(value)) return null
  const url = URL.canParse(value, policy.origin) ? new URL(value, policy.origin) : null
  if (url === null || url.origin !== policy.origin) return null
  const path = decodedPath(value)
  // RDR-02: what is emitted is parsed once more by others, so no reading of the path may start with two slashes.
  if (path === null || url.pathname.startsWith('//') || /^\/[/\\\t\r\n]/.test(path) || /\/\/|\\/.test(path)) return null
  const resolved = decodedPath(url.pathname)
  if (resolved === null) return null
  return policy.forbidden.some((prefix) => isUnder(path, prefix) || isUnder(resolved, prefix)) ? null : value
}

function isUnder (path: string, prefix: string): boolean {
  const lower = path.toLowerCase()
  return lower === prefix.toLowerCase() || lower.startsWith(`${prefix.toLowerCase()}/`)
}

function decodedPath (value: string): string | null {
  try {
    return decodeURIComponent(value.split(/[?#]/, 1)[0] ?? '')
  } catch {
    return null
  }
}
