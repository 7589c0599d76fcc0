// Hands a logout token on to the other replicas, as the provider signed it: no secret is shared or needed.
import { lookup as dnsLookup } from 'node:dns/promises'
import { Agent, request } from 'undici'
import { inTime } from '../lib/in-time.ts'
import { parsePeer } from '../lib/peer.ts'

/** The header that marks a token as handed on, so that nobody hands it on again. */
export const PEER_HEADER = 'bulla-peer'

/** The other replicas. */
export interface Peers {
  /** Settles when each was tried once; those that failed are tried once more, then reported. */
  tell (token: string): Promise<void>
  /** Waits for what is still under way. */
  close (): Promise<void>
}

/** What is needed to reach the peers. */
export interface PeersOptions {
  /** `dns:host:port`, whose every address is a peer over http, or origins. */
  readonly peers: readonly string[]
  /** The path of the endpoint. */
  readonly path: string
  /** Further CA certificates, PEM, in addition to the system's. */
  readonly ca?: readonly string[] | undefined
  /** All addresses of a name. Default: the system's resolver, which knows search domains. */
  readonly lookup?: (host: string) => Promise<readonly string[]>
  /** Milliseconds between the first try and the second. Default 1,000. */
  readonly pause?: number
  /** Is told of each peer, or name, that was not reached. */
  readonly onMissed: (peer: string, cause: unknown) => void
}

/** Milliseconds for looking a name up, and for a call. */
const TIMEOUT = 2_000

/** The most addresses that a name may have. */
const MAX_PEERS = 256

/**
 * Creates the peers. Nothing is looked up before there is something to tell.
 *
 * @param options what is needed to reach them
 */
export function createPeers (options: PeersOptions): Peers {
  const { peers, path, onMissed, pause = 1_000 } = options
  const lookup = options.lookup ?? systemLookup
  const agent = new Agent({
    connect: { timeout: TIMEOUT, ...(options.ca === undefined ? {} : { ca: [...options.ca] }) },
    headersTimeout: TIMEOUT,
    bodyTimeout: TIMEOUT,
    maxResponseSize: 64 * 1024
  })
  const underWay = new Set<Promise<void>>()
  let closing: Promise<void> | undefined

  async function originsOf (entry: string): Promise<readonly string[]> {
    const peer = parsePeer(entry)
    if (peer?.kind !== 'name') return peer === null ? [] : [peer.origin]
    try {
      const addresses = await inTime(lookup(peer.host), TIMEOUT)
      if (addresses.length === 0) throw new Error('the name has no address')
      return addresses.slice(0, MAX_PEERS).map((address) => `http://${hostOf(address)}:${peer.port}`)
    } catch (cause) {
      onMissed(entry, cause)
      return []
    }
  }

  async function post (origin: string, token: string): Promise<void> {
    const { statusCode, body } = await request(`${origin}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', [PEER_HEADER]: '1' },
      body: new URLSearchParams({ logout_token: token }).toString(),
      dispatcher: agent,
      signal: AbortSignal.timeout(TIMEOUT)
    })
    await body.dump()
    if (statusCode !== 200) throw new Error(`the peer answered ${statusCode}`)
  }

  async function tryAgain (origin: string, token: string): Promise<void> {
    await new Promise((resolve) => { setTimeout(resolve, pause) })
    await post(origin, token).catch((cause: unknown) => { onMissed(origin, cause) })
  }

  function track (work: Promise<void>): void {
    const tracked = work.finally(() => { underWay.delete(tracked) })
    underWay.add(tracked)
  }

  async function tellOne (origin: string, token: string): Promise<void> {
    await post(origin, token).catch(() => { track(tryAgain(origin, token)) })
  }

  async function finish (): Promise<void> {
    await Promise.all(underWay)
    await agent.close()
  }

  return {
    tell: async (token) => {
      const origins = new Set((await Promise.all(peers.map(originsOf))).flat())
      await Promise.all([...origins].map(async (origin) => { await tellOne(origin, token) }))
    },
    close: async () => { await (closing ??= finish()) }
  }
}

async function systemLookup (host: string): Promise<readonly string[]> {
  return (await dnsLookup(host, { all: true })).map(({ address }) => address)
}

function hostOf (address: string): string {
  return address.includes(':') ? `[${address}]` : address
}
