// Same origin, same site, cross site: how browsers compare addresses, and what Sec-Fetch-Site says.

/** How two addresses relate, in the words of Sec-Fetch-Site. */
export type Relation = 'same-origin' | 'same-site' | 'cross-site'

const IPV4 = /^\d+\.\d+\.\d+\.\d+$/

/** The registrable domain, near enough for tests: two labels; addresses stand for themselves. */
export function siteOf (host: string): string {
  if (IPV4.test(host) || host.startsWith('[')) return host
  return host.split('.').slice(-2).join('.')
}

/** Same site is "schemeful": http and https of one host are two sites. */
export function isSameSite (a: URL, b: URL): boolean {
  return a.protocol === b.protocol && siteOf(a.hostname) === siteOf(b.hostname)
}

/** How `to` looks from `from`. */
export function relation (from: URL, to: URL): Relation {
  if (from.origin === to.origin) return 'same-origin'
  return isSameSite(from, to) ? 'same-site' : 'cross-site'
}

/** Hosts that browsers call potentially trustworthy, so that Secure cookies work over http. */
export function isTrustworthy (url: URL): boolean {
  return url.protocol === 'https:' || url.protocol === 'wss:' ||
    url.hostname === 'localhost' || url.hostname.endsWith('.localhost') || url.hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(url.hostname)
}

/**
 * Sec-Fetch-Site of a request: the worst relation of the initiator to any address of the redirect chain;
 * `none` for what the person did (address bar, bookmark), through all redirects.
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
 */
export function secFetchSite (initiator: URL | null, chain: readonly URL[]): Relation | 'none' {
  if (initiator === null) return 'none'
  const order: Relation[] = ['same-origin', 'same-site', 'cross-site']
  return chain.reduce<Relation>((worst, url) => {
    const here = relation(initiator, url)
    return order.indexOf(here) > order.indexOf(worst) ? here : worst
  }, 'same-origin')
}
