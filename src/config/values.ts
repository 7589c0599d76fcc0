// Small readings of setting values that several checks share.

/** A path of this origin, in printable ASCII. */
export const LOCAL_PATH = /^\/(?![/\\])[!-[\]-~]*$/

/** A header name that is no longer than it needs to be. */
export const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/

/** A URL, or `null` for what is none. */
export function parseUrl (text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null
}

/** A list, also where the setting is missing or no list. */
export function arrayOf<T> (value: readonly T[] | undefined): readonly T[] {
  return Array.isArray(value) ? value : []
}
