// What becomes of an upstream's caching: nothing that came with a token is kept by a shared cache.

/** A route's policy. */
export type CachePolicy = 'no-store' | 'private' | 'public'

/** Directives, quoted arguments included. */
const DIRECTIVE = /(?:[^,"]|"[^"]*")+/g

/**
 * The `Cache-Control` of an answer (CAC-02).
 *
 * @param upstream the upstream's `Cache-Control`, all lines joined; `null` if it has none
 * @param hasExpires whether the upstream sent `Expires`
 * @param policy of the route
 * @returns the value; `null` for none
 * @see https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2
 */
export function cacheControl (
  upstream: string | null, hasExpires: boolean, policy: CachePolicy
): string | null {
  if (upstream === null || upstream.trim() === '') {
    if (policy === 'no-store') return 'no-store'
    return policy === 'private' && hasExpires ? 'private' : null
  }
  if (policy === 'public' || upstream === 'no-store') return upstream
  const directives = (upstream.match(DIRECTIVE) ?? []).map((directive) => directive.trim()).filter((text) => text !== '')
  const kept = directives.filter((directive) => !/^(?:public|s-maxage|private=)/i.test(directive))
  const isOurs = kept.some((directive) => /^(?:private|no-store|no-cache)$/i.test(directive))
  if (isOurs && kept.length === directives.length) return upstream
  return kept.some((directive) => /^private$/i.test(directive)) ? kept.join(', ') : ['private', ...kept].join(', ')
}
