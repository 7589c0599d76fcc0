// Finds free ports, so that the demo starts beside whatever else runs.
import { once } from 'node:events'
import { createServer } from 'node:net'

const TRIES = 100

/**
 * The first free port from `first` on that is not in `taken`.
 * Browsers try both addresses of localhost, so a port counts as free only if nobody listens on either.
 * @throws if 100 ports in a row are in use
 */
export async function freePort (first: number, taken: readonly number[] = []): Promise<number> {
  for (let port = first; port < first + TRIES; port++) {
    if (taken.includes(port)) continue
    if (await isFree(port, '127.0.0.1') && await isFree(port, '::1')) return port
  }
  throw new Error(`no free port from ${first} to ${first + TRIES - 1}`)
}

async function isFree (port: number, host: string): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, host)
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return true
  } catch (error) {
    // A machine without IPv6 has nobody listening there either.
    return ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes((error as NodeJS.ErrnoException).code ?? '')
  }
}
