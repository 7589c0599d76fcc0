// What never reaches a log: queries of URLs (codes and states travel there) and the values of secrets.

/**
 * The path of a request target, without its query; what the log may show.
 *
 * @param target the request target, `/path?query`
 */
export function pathOnly (target: string): string {
  const end = target.search(/[?#]/)
  return end < 0 ? target : target.slice(0, end)
}

/**
 * A short, log-safe account of an error and of its causes: names, codes and messages, no stacks of libraries
 * that carry requests, no bodies.
 *
 * @param error anything that was thrown
 */
export function describeError (error: unknown): string {
  const parts: string[] = []
  let current: unknown = error
  for (let depth = 0; depth < 4 && current instanceof Error; depth++) {
    const code = 'code' in current && typeof current.code === 'string' ? ` (${current.code})` : ''
    // V8 quotes the text that is no JSON, and that may be an answer with tokens.
    const message = current instanceof SyntaxError ? 'not shown' : printable(current.message)
    parts.push(`${current.name}${code}: ${message}`)
    current = current.cause
  }
  return parts.length > 0 ? parts.join(' <- ') : printable(String(error))
}

/**
 * Text from outside made fit for a log line: control characters replaced, length bounded.
 *
 * @param text anything
 * @param limit the most characters that are kept; default 200
 */
export function printable (text: string, limit = 200): string {
  const clean = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean
}
