// The headers of a forwarded request: what passes, what is dropped, what Bulla sets.
import { DROPPED_REQUEST, DROPPED_REQUEST_PREFIXES, HOP_BY_HOP } from './header-lists.ts'

/** What Bulla knows of a request beyond its headers. */
export interface ForwardContext {
  readonly accessToken: string | null
  /** The upstream's own `Host`. */
  readonly host: string
  /** The peer, after trusted proxies. */
  readonly clientAddress: string
  /** The public origin's host and scheme. */
  readonly publicHost: string
  readonly publicProto: string
  readonly requestId: string
  readonly csrfHeader: string
  readonly set: Readonly<Record<string, string>>
  readonly remove: ReadonlySet<string>
}

/**
 * Builds the headers of a forwarded request, as a flat list of names and values.
 *
 * @param rawHeaders of the browser's request
 * @param context what Bulla adds
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6
 */
export function requestHeaders (rawHeaders: readonly string[], context: ForwardContext): string[] {
  const named = connectionNames(rawHeaders)
  const headers: string[] = ['host', context.host]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase()
    if (isDropped(name, context) || named?.has(name) === true) continue
    headers.push(name, rawHeaders[i + 1] ?? '')
  }
  headers.push(
    'x-forwarded-for', context.clientAddress,
    'x-forwarded-host', context.publicHost,
    'x-forwarded-proto', context.publicProto,
    'x-request-id', context.requestId
  )
  for (const name in context.set) headers.push(name, context.set[name] ?? '')
  if (context.accessToken !== null) headers.push('authorization', `Bearer ${context.accessToken}`)
  return headers
}

function isDropped (name: string, context: ForwardContext): boolean {
  if (HOP_BY_HOP.has(name) || name === 'x-request-id' || name === context.csrfHeader || name.startsWith(':')) return true
  // S10: a name that differs in _ and - only is the same name to many servers.
  const normal = name.includes('_') ? name.replaceAll('_', '-') : name
  if (DROPPED_REQUEST.has(normal) || context.remove.has(normal) || Object.hasOwn(context.set, normal)) return true
  for (const prefix of DROPPED_REQUEST_PREFIXES) if (normal.startsWith(prefix)) return true
  return false
}

/** The headers that a `Connection` header declares to be of this connection only. */
function connectionNames (rawHeaders: readonly string[]): Set<string> | null {
  let names: Set<string> | null = null
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if ((rawHeaders[i] ?? '').toLowerCase() !== 'connection') continue
    for (const name of (rawHeaders[i + 1] ?? '').toLowerCase().split(',')) {
      const trimmed = name.trim()
      if (trimmed !== 'keep-alive' && trimmed !== 'close') (names ??= new Set()).add(trimmed)
    }
  }
  return names
}
