// Tells navigations, which people see, from fetches and prefetches, which programs make.
import type { IncomingHttpHeaders } from 'node:http'

/**
 * Whether a request is a navigation. Without Sec-Fetch headers, one whose `Accept` lists `text/html` is.
 *
 * @param headers of the request
 */
export function isNavigation (headers: IncomingHttpHeaders): boolean {
  const mode = headers['sec-fetch-mode']
  if (mode !== undefined) return mode === 'navigate'
  return headers.accept?.includes('text/html') === true
}

/**
 * Whether a browser asks ahead of the person's wish.
 *
 * @param headers of the request
 */
export function isPrefetch (headers: IncomingHttpHeaders): boolean {
  return [headers['sec-purpose'], headers.purpose, headers['x-moz']].some((value) => /prefetch|prerender|preview/i.test(String(value ?? '')))
}

/**
 * Whether a navigation goes on inside a frame.
 *
 * @param headers of the request
 */
export function isFramed (headers: IncomingHttpHeaders): boolean {
  return headers['sec-fetch-dest'] === 'iframe' || headers['sec-fetch-dest'] === 'frame'
}

/**
 * Where a navigation comes from, as far as `SameSite=Strict` cookies care: `own` and `sibling` bring them,
 * `elsewhere`
 * was begun by another site and lacks them, also after redirects. `typed` was begun by the person and brings
 * them
 * unless another site redirected it; `unknown` is a browser without Fetch Metadata.
 *
 * @param headers of the request
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
 */
export function navigationSource (headers: IncomingHttpHeaders): 'own' | 'sibling' | 'typed' | 'elsewhere' | 'unknown' {
  switch (headers['sec-fetch-site']) {
    case 'none': return 'typed'
    case 'same-origin': return 'own'
    case 'same-site': return 'sibling'
    case 'cross-site': return 'elsewhere'
    default: return 'unknown'
  }
}
