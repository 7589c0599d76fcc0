// What a token is for, in the words of the token endpoint.

/** What a token is asked for; whatever is left out is the authorization server's to choose. */
export interface TokenTarget {
  /** The absolute URI of the API. @see https://www.rfc-editor.org/rfc/rfc8707 */
  readonly resource?: string | undefined
  readonly audience?: string | undefined
  /** Space-separated. */
  readonly scope?: string | undefined
}

/**
 * The parameters that name a target.
 *
 * @param target what the token is for
 */
export function targetParams (target: TokenTarget): Record<string, string> {
  const params: Record<string, string> = {}
  for (const name of ['resource', 'audience', 'scope'] as const) {
    const value = target[name]
    if (value !== undefined) params[name] = value
  }
  return params
}

/**
 * A name of a target: equal for equal targets, empty if nothing is asked for.
 *
 * @param target what the token is for
 */
export function targetName (target: TokenTarget | undefined): string {
  return new URLSearchParams(targetParams(target ?? {})).toString()
}
