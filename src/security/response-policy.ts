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

/** The policy for the app's own documents: only its own origin, framed by nobody, no inline script. */
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
const documentHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': APP_CSP,
  'x-frame-options': 'DENY'
}

/** What is known of the authorization server; its metadata comes with the first discovery. */
export interface KnownProvider {
  readonly issuer: string
  readonly known: { readonly authorization_endpoint?: string, readonly end_session_endpoint?: string } | null
}

/**
 * {@link documentHeaders} of an app that logs in: a silent login's frame and a logout's form start here and
 * are redirected to the authorization server, and browsers hold redirects against the policy too.
 *
 * @param provider whose origins they may go to; asked for each answer, since metadata comes later and changes
 * @see https://www.w3.org/TR/CSP3/#directive-form-action
 */
export function documentHeadersFor ({ issuer, known }: KnownProvider): Readonly<Record<string, string>> {
  const frames = origins(issuer, known?.authorization_endpoint)
  const forms = origins(issuer, known?.end_session_endpoint)
  const policy = APP_CSP.replace("form-action 'self'", `frame-src 'self' ${frames}; form-action 'self' ${forms}`)
  return { ...documentHeaders, 'content-security-policy': policy }
}

function origins (...urls: ReadonlyArray<string | undefined>): string {
  const known = urls.flatMap((url) => url !== undefined && URL.canParse(url) ? [new URL(url).origin] : [])
  return [...new Set(known)].join(' ')
}
