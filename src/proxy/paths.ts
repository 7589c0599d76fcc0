// Request targets: read once, strictly; the path that decided is the path that is sent.

/**
 * Paths without escapes, empty or dot-led segments or parameters: the usual ones, which need no second
 * look.
 */
const PLAIN = /^(?:\/[\w~!$&'()*+,=:@-][\w~!$&'()*+,=:@.-]*)+\/?$/

/** Encoded forms that some server decodes into another path. */
const DANGEROUS = /%(?:00|0[ad]|5c|25(?:2e|2f|5c|00|25))|%u|;\/|\/\.{1,2};/i

/** `.` and `..` segments in any spelling. */
const DOT_SEGMENT = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|;|$)/i

/** A path of printable ASCII with well-formed escapes. */
const WELL_FORMED = /^\/(?:[!$&-;=@A-Z_a-z~[\]|^`'()*+,"<>{}]|%[0-9A-Fa-f]{2})*$/

/** The parts of a request target. */
export interface Target {
  /** With escapes of unreserved characters decoded: the path that routes and that is sent. */
  readonly path: string
  /** From the question mark on, byte for byte; empty if there is none. */
  readonly query: string
}

/**
 * Reads a request target.
 *
 * @param url the request target in origin form
 * @param encodedSlashes whether `%2f` may pass
 * @returns its parts, or `null` for every form that two parsers could read differently
 * @see https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2
 */
export function readTarget (url: string, encodedSlashes = false): Target | null {
  const question = url.indexOf('?')
  const rawPath = question < 0 ? url : url.slice(0, question)
  const query = question < 0 ? '' : url.slice(question)
  if (query !== '' && !isQuery(query)) return null
  if (PLAIN.test(rawPath)) return { path: rawPath, query }
  if (rawPath.includes('#') || !WELL_FORMED.test(rawPath)) return null
  const path = rawPath.includes('%') ? rawPath.replace(/%[0-9A-Fa-f]{2}/g, decodeUnreserved) : rawPath
  if (path.includes('//') || DANGEROUS.test(path) || DOT_SEGMENT.test(path)) return null
  if (/%2f/i.test(path) && !(encodedSlashes && isInsideWithSlashes(path))) return null
  return isUtf8(path) ? { path, query } : null
}

/** A raw `#` is no query, nor are blanks and control characters. */
function isQuery (query: string): boolean {
  return /^[!"$-~\x80-\xff]*$/.test(query)
}

/** PRX-20: where `%2f` may pass, it may not make a dot segment. */
function isInsideWithSlashes (path: string): boolean {
  const decoded = path.replace(/%2f/gi, '/')
  return !DOT_SEGMENT.test(decoded) && !decoded.includes('//')
}

function decodeUnreserved (escape: string): string {
  const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16))
  return /[A-Za-z0-9\-._~]/.test(character) ? character : escape
}

function isUtf8 (path: string): boolean {
  if (!path.includes('%')) return true
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}
