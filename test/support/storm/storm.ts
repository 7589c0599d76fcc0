// Storms of refreshes: replicas without common memory, a balancer, browsers that call in parallel at each
// expiry.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, fetch as undiciFetch } from 'undici'
import { loadConfig } from '../../../src/config/load.ts'
import { buildServer, type Server } from '../../../src/server.ts'
import type { Session } from '../../../src/session/session.ts'
import { startStormProvider, type Policy, type StormProvider } from './provider.ts'
import { Visitor, type Seen } from './visitor.ts'

/** What blows, and where. */
export interface StormOptions {
  readonly replicas: number
  readonly policy: Policy
  readonly balancer: 'random' | 'hash' | Balance
  readonly mode: 'server' | 'browser'
  readonly sessions: number
  /** Parallel calls of each session at each expiry. */
  readonly calls: number
  readonly rounds: number
  /** Milliseconds that access tokens live: whole seconds. */
  readonly tokenLife: number
  /** The longest delay of each step of the token endpoint and of the API, in milliseconds. */
  readonly delay: number
  /** The share of calls that the client leaves before they are answered. */
  readonly aborts: number
  readonly seed: number
}

/** Puts something of its own in front of the replicas; gets their addresses and settings. */
export type Balance =
  (urls: readonly string[], settings: Readonly<Record<string, unknown>>) => Promise<string>

/** What came of it. */
export interface StormResult {
  readonly requests: number
  readonly answered: number
  readonly left: number
  /** Sessions that had to log in again. */
  readonly lost: number
  readonly stale: number
  readonly unavailable: number
  /** Answers that are none of the contract's, and connections that were cut. */
  readonly wrong: number
  /**
   * Calls whose token had been dead for a second when they reached the API: a machine that does not keep up.
   */
  readonly late: number
  readonly tokenCalls: number
  /** The most calls with which one replica presented one refresh token of one generation. */
  readonly callsPerReplicaAndGeneration: number
}

/** A small generator of random numbers with a seed, so that a storm can be repeated. */
export function seeded (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** Everything that a storm needs, running. */
export interface Site {
  readonly provider: StormProvider
  readonly visitors: Visitor[]
  readonly servers: Server[]
  /** Tokens that reached the API and were dead. */
  readonly deadTokens: () => number
  readonly callsPerReplicaAndGeneration: () => number
  close (): Promise<void>
}

/** Builds the site: endpoint, API, replicas, and sessions as logins would have made them. */
export async function buildSite (options: StormOptions): Promise<Site> {
  const random = seeded(options.seed)
  const provider = await startStormProvider({ ...options, random })
  const api = await startApi(provider, options.delay, random)
  const presented = new Map<string, number>()
  const origin = 'http://localhost:1'
  const settings = {
    public_url: origin,
    host: '127.0.0.1',
    port: 0,
    issuer: provider.issuer,
    client_id: 'app',
    client_secret: 'a-secret-of-the-storm',
    keys: [randomBytes(32).toString('base64url')],
    routes: [{ prefix: '/api', upstream: api.url }],
    routing_cookie: true,
    refresh: { mode: options.mode },
    admin: { port: 'off' }
  }
  const servers: Server[] = []
  const urls: string[] = []
  for (let index = 0; index < options.replicas; index++) {
    const fetch = counting(presented, index)
    const server = await buildServer(loadConfig({ settings }), { logger: false, fetch })
    servers.push(server)
    urls.push((await server.listen()).url)
    await server.app.oidc.provider.metadata()
  }
  const dispatcher = new Agent({ connections: 200 })
  const front = typeof options.balancer === 'function' ? await options.balancer(urls, settings) : null
  const route = front === null ? balancer(options.balancer === 'hash', urls, random) : () => front
  const visitors: Visitor[] = []
  for (let index = 0; index < options.sessions; index++) {
    const session = newSession(provider, options.tokenLife)
    const setCookies = await servers[0]?.app.sessions.store.write(session, null)
    visitors.push(new Visitor({ origin, route, dispatcher, mode: options.mode }, setCookies ?? []))
  }
  return {
    provider,
    visitors,
    servers,
    deadTokens: api.deadTokens,
    callsPerReplicaAndGeneration: () => Math.max(0, ...presented.values()),
    close: async () => {
      await dispatcher.destroy()
      await Promise.all([...servers.map((server) => server.close()), provider.close()])
      api.close()
    }
  }
}

/** Lets a storm blow. */
export async function storm (options: StormOptions): Promise<StormResult> {
  const site = await buildSite(options)
  const random = seeded(options.seed + 1)
  const seen: Seen[] = []
  let isLost = 0
  try {
    for (let round = 0; round < options.rounds; round++) {
      await sleep(options.tokenLife)
      const calls = site.visitors.filter((visitor) => !visitor.isLost).flatMap((visitor) =>
        Array.from({ length: options.calls }, async () => seen.push(await oneCall(visitor, options, random))))
      await Promise.all(calls)
      isLost += await countLost(site.visitors)
    }
  } finally {
    await site.close()
  }
  const answered = seen.filter((each) => typeof each !== 'string')
  const withCode = (code: string): number => answered.filter((each) => each.code === code).length
  const fine = answered.filter(({ status }) => status === 200).length
  const [stale, expired, unavailable] = ['session_stale', 'session_expired', 'idp_unavailable'].map(withCode)
  return {
    requests: seen.length,
    answered: answered.length,
    left: seen.filter((each) => each === 'left').length,
    lost: isLost,
    stale: stale ?? 0,
    unavailable: unavailable ?? 0,
    wrong: seen.filter((each) => each === 'cut').length +
      answered.length - fine - (stale ?? 0) - (expired ?? 0) - (unavailable ?? 0),
    late: site.deadTokens(),
    tokenCalls: site.provider.calls,
    callsPerReplicaAndGeneration: site.callsPerReplicaAndGeneration()
  }
}

async function oneCall (visitor: Visitor, options: StormOptions, random: () => number): Promise<Seen> {
  if (random() >= options.aborts) return await visitor.call()
  return await visitor.call(AbortSignal.timeout(Math.ceil(random() * options.delay * 2)))
}

/** A session is lost if the app, which repeats a stale call, is still told to log in. */
async function countLost (visitors: readonly Visitor[]): Promise<number> {
  let lost = 0
  await Promise.all(visitors.filter((visitor) => !visitor.isLost).map(async (visitor) => {
    let seen = await visitor.call()
    for (let i = 0; i < 5 && typeof seen !== 'string' && seen.status === 503; i++) seen = await visitor.call()
    visitor.isLost = typeof seen === 'string' || seen.status !== 200
    if (visitor.isLost) lost += 1
  }))
  return lost
}

function balancer (
  isHashing: boolean, urls: readonly string[], random: () => number
): (key: string) => string {
  return (key) => {
    const number = isHashing ? createHash('sha256').update(key).digest().readUInt32BE() / 2 ** 32 : random()
    return urls[Math.floor(number * urls.length)] ?? ''
  }
}

/** How the replica calls the provider, counting how often it presents a refresh token. */
function counting (presented: Map<string, number>, replica: number) {
  return async (url: string, init: object): Promise<Response> => {
    const body = String('body' in init ? init.body : '')
    const token = new URLSearchParams(body).get('refresh_token')
    const key = `${replica} ${token}`
    if (token !== null) presented.set(key, (presented.get(key) ?? 0) + 1)
    return await undiciFetch(url, init) as unknown as Response
  }
}

async function startApi (provider: StormProvider, delay: number, random: () => number) {
  let dead = 0
  const server = createServer((request, response) => {
    const token = (request.headers.authorization ?? '').slice('Bearer '.length)
    if (!provider.isLive(token)) dead += 1
    setTimeout(() => response.end('{}'), random() * delay)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    deadTokens: () => dead,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

function newSession (provider: StormProvider, tokenLife: number): Session {
  const { accessToken, refreshToken } = provider.mint()
  const now = Math.floor(Date.now() / 1000)
  return {
    sid: randomBytes(16).toString('base64url'),
    generation: 0,
    subject: 'someone',
    accessToken,
    refreshToken,
    accessTokenIssuedAt: now,
    accessTokenExpiresAt: now + tokenLife / 1000,
    claims: { name: 'Someone' },
    createdAt: now,
    expiresAt: now + 3600
  }
}
