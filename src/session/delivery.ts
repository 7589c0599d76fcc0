// One sealed session for many requests: the same chunks, and the deletions that each one needs.
import { clearSurplus } from './chunks.ts'
import type { CookieKind, Cookies, OwnCookies } from './cookies.ts'

/**
 * The `Set-Cookie` values that bring a renewed session to the sender of one request.
 *
 * @param cookies names and deletes them
 * @param sealed the values that were written once, for nobody in particular
 * @param own what the request brought
 * @param isMarked whether the answer marks this very generation as spent
 */
export function deliver (
  cookies: Cookies, sealed: readonly string[], own: OwnCookies, isMarked: boolean
): string[] {
  const isOutdated = !isMarked && own.values.has(cookies.name('spent'))
  return [
    ...sealed,
    ...clearSurplus(cookies, 'session', own, countOf(cookies, 'session', sealed)),
    ...clearSurplus(cookies, 'refresh', own, countOf(cookies, 'refresh', sealed)),
    // A marker names an older generation: whoever brought it has a newer one now.
    ...(isOutdated ? [cookies.clear('spent')] : [])
  ]
}

function countOf (cookies: Cookies, kind: CookieKind, sealed: readonly string[]): number {
  let count = 0
  while (sealed.some((line) => line.startsWith(`${cookies.name(kind, count)}=`))) count += 1
  return count
}
