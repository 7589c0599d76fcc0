// Every error that Bulla answers with: one table of codes, statuses and titles, and the class for them.

/** One row of the error table: the HTTP status and the short title that every answer with this code has. */
interface ErrorRow { readonly status: number, readonly title: string }

/**
 * All error codes of the contract. Callers test `err.code`; codes are never reused for another meaning.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9457 (problem details)
 */
export const ERRORS = {
  bad_request: { status: 400, title: 'Bad request' },
  navigation_required: { status: 400, title: 'This address is for navigation, not for fetch' },
  callback_invalid: { status: 400, title: 'The answer of the identity provider does not belong to this login' },
  login_expired: { status: 400, title: 'This login took too long' },
  login_required: { status: 401, title: 'Login required' },
  session_expired: { status: 401, title: 'The session has expired' },
  session_stale: { status: 401, title: 'The session was renewed by another request' },
  session_revoked: { status: 401, title: 'The session was ended elsewhere' },
  step_up_required: { status: 401, title: 'A stronger login is required' },
  csrf_header_missing: { status: 403, title: 'The CSRF header is missing' },
  csrf_origin_refused: { status: 403, title: 'Requests from this origin are refused' },
  login_denied: { status: 403, title: 'The login was denied' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  request_timeout: { status: 408, title: 'The request took too long' },
  body_too_large: { status: 413, title: 'The body is too large' },
  url_too_long: { status: 414, title: 'The URL is too long' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The request headers are too large' },
  internal: { status: 500, title: 'Internal error' },
  session_too_large: { status: 500, title: 'The session does not fit in its cookies' },
  upstream_unreachable: { status: 502, title: 'The API cannot be reached' },
  idp_misconfigured: { status: 502, title: 'The identity provider refuses this client' },
  idp_unavailable: { status: 503, title: 'The identity provider is not available' },
  overloaded: { status: 503, title: 'Overloaded' },
  upstream_timeout: { status: 504, title: 'The API took too long to answer' }
} as const satisfies Record<string, ErrorRow>

/** A code of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS

/** What may be said beside the code; see {@link BullaError}. */
export interface ErrorOptions {
  /** One sentence for the developer who reads the answer; never internal hosts, tokens or user input. */
  readonly detail?: string
  /** What went wrong underneath; logged, never sent. */
  readonly cause?: unknown
  /** Seconds for `Retry-After`. */
  readonly retryAfter?: number
  /** Where logging in would mend it. */
  readonly loginUrl?: string
  /** The page of the app to which a person can return without logging in: a local path. */
  readonly backUrl?: string
  /** Further response headers, such as `Allow`. */
  readonly headers?: Readonly<Record<string, string>>
  /** `Set-Cookie` values that the answer carries. */
  readonly setCookies?: readonly string[]
}

/** An error of the contract. `cause` is kept for the log and never sent. */
export class BullaError extends Error {
  readonly code: ErrorCode
  readonly statusCode: number
  readonly detail: string | undefined
  readonly retryAfter: number | undefined
  readonly loginUrl: string | undefined
  readonly backUrl: string | undefined
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly setCookies: readonly string[]
  readonly #options: ErrorOptions

  constructor (code: ErrorCode, options: ErrorOptions = {}) {
    super(options.detail ?? ERRORS[code].title, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'BullaError'
    this.code = code
    this.statusCode = ERRORS[code].status
    this.detail = options.detail
    this.retryAfter = options.retryAfter
    this.loginUrl = options.loginUrl
    this.backUrl = options.backUrl
    this.headers = options.headers
    this.setCookies = options.setCookies ?? []
    this.#options = options
  }

  /** The same error, with this to say in place of what it said. */
  with (more: ErrorOptions): BullaError {
    return new BullaError(this.code, { ...this.#options, ...more })
  }

  /** The same error, its answer carrying these `Set-Cookie` values too. */
  withCookies (setCookies: readonly string[]): BullaError {
    return this.with({ setCookies: [...this.setCookies, ...setCookies] })
  }
}

/** The body of an error answer (RFC 9457). */
export interface Problem {
  type: string
  title: string
  status: number
  code: ErrorCode
  detail?: string
  request_id?: string
  login_url?: string
}

/**
 * The problem document of an error.
 *
 * @param error what happened
 * @param requestId the id under which the log holds the rest
 */
export function toProblem (error: BullaError, requestId?: string): Problem {
  const row = ERRORS[error.code]
  return {
    type: `urn:bulla:${error.code}`,
    title: row.title,
    status: row.status,
    code: error.code,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(requestId === undefined ? {} : { request_id: requestId }),
    ...(error.loginUrl === undefined ? {} : { login_url: error.loginUrl })
  }
}

/**
 * The headers that go with every error answer: the code, the type, and that nobody keeps it.
 *
 * @param error what happened
 */
export function problemHeaders (error: BullaError): Record<string, string> {
  return {
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    'bulla-error': error.code,
    ...(error.retryAfter === undefined ? {} : { 'retry-after': String(error.retryAfter) }),
    ...error.headers
  }
}
