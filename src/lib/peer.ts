// The form of an entry of `peers`: a name whose every address is a replica, or the origin of one.

/** A peer, or several behind a name. */
export type Peer =
  | { readonly kind: 'name', readonly host: string, readonly port: number }
  | { readonly kind: 'origin', readonly origin: string }

/**
 * Reads an entry.
 *
 * @param entry `dns:host:port`, or an http or https origin
 * @returns `null` if it is neither
 */
export function parsePeer (entry: string): Peer | null {
  const [, host, digits] = /^dns:([A-Za-z0-9._-]{1,253}):(\d{1,5})$/.exec(entry) ?? []
  const port = Number(digits)
  if (host !== undefined && port > 0 && port < 65_536) return { kind: 'name', host, port }
  const isOrigin = /^https?:/.test(entry) && URL.canParse(entry) && new URL(entry).origin === entry
  return isOrigin ? { kind: 'origin', origin: entry } : null
}
