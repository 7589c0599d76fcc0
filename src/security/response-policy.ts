// The security headers that Bulla puts on its own answers, pages and files.

/** Headers of every answer of the endpoints. */
export const ENDPOINT_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin'
}

/** Headers of the small pages that Bulla shows: no script, no frame, nothing loaded. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  ...ENDPOINT_HEADERS,
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'content-type': 'text/html; charset=utf-8'
}

/** Headers of the page that tells a silent login's outcome: our script, framed by our page. */
export const OUTCOME_HEADERS: Readonly<Record<string, string>> = {
  ...ENDPOINT_HEADERS,
  'content-security-policy': "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
  'content-type': 'text/html; charset=utf-8'
}

/** The policy for the app's own documents: only its own origin, no frames, no inline script. */
export const APP_CSP = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

/** A year: browsers stay on https (FAP-04, ASVS 3.4.1). */
const HSTS = 'max-age=31536000'

/**
 * Headers of every file of the app.
 *
 * @param publicUrl over http, as in development, there is no HSTS
 */
export function appHeaders (publicUrl: string): Readonly<Record<string, string>> {
  return {
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    ...(publicUrl.startsWith('https://') ? { 'strict-transport-security': HSTS } : {})
  }
}

/** Headers of the app's documents, beyond those of its files. */
export const documentHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': APP_CSP,
  'x-frame-options': 'DENY'
}
