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
  return [headers['sec-purpose'], headers.purpose, headers['x-moz']].some((value) => String(value ?? '').includes('prefetch'))
}
