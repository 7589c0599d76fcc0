// Where a call comes from, as the upstream is told: the peer, and what trusted proxies say of those
// before it.
import type { FastifyRequest } from 'fastify'

/**
 * The value of `X-Forwarded-For`: the peer, or all that trusted proxies vouch for, the client first.
 *
 * @param request the call
 */
export function forwardedFor (request: FastifyRequest): string {
  const { ips } = request
  if (ips === undefined || ips.length < 2) return plainAddress(request.ip)
  return ips.map(plainAddress).reverse().join(', ')
}

/** An IPv4 peer of an IPv6 socket is an IPv4 peer. */
function plainAddress (address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
