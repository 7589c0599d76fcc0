// Stores with known keys and clocks, sessions to put in them, and a jar that takes what they write.
import { createHash } from 'node:crypto'
import cookie from '@fastify/cookie'
import Fastify from 'fastify'
import { createCookies, type Cookies, type Serialize } from '../../src/session/cookies.ts'
import { createKeyring, type Binding, type Keyring } from '../../src/session/keyring.ts'
import { createSealer, type Sealer } from '../../src/session/seal.ts'
import type { SealedSessionsOptions } from '../../src/session/sealed-session.ts'
import type { Session } from '../../src/session/session.ts'
import { createSessionStore, type SessionStore } from '../../src/session/store.ts'
import { CookieJar } from './cookie-jar.ts'

const app = Fastify()
await app.register(cookie, { hook: false })

/** The product's own serialiser. */
export const serialize: Serialize = (name, value, attributes) => app.serializeCookie(name, value, attributes)

/** The time of all that is made here, Unix seconds. */
export const NOW = 1_795_000_000

export const BINDING: Binding = {
  origin: 'https://app.example', issuer: 'https://login.example', clientId: 'app'
}

/** A ring key that depends on its name only. */
export function namedKey (name: string): string {
  return createHash('sha256').update(`bulla test key ${name}`).digest('base64url')
}

/** A session; `part` wins. */
export function sampleSession (part: Partial<Session> = {}): Session {
  return {
    sid: 'AAECAwQFBgcICQoLDA0ODw',
    generation: 0,
    subject: 'jane',
    accessToken: 'access',
    accessTokenIssuedAt: NOW,
    accessTokenExpiresAt: NOW + 300,
    claims: {},
    createdAt: NOW,
    expiresAt: NOW + 43_200,
    ...part
  }
}

/** Text that nothing compresses, `length` characters. */
export function noise (length: number, seed = 'noise'): string {
  let text = ''
  for (let block = 0; text.length < length; block++) {
    text += createHash('sha512').update(`${seed}/${block}`).digest('base64url')
  }
  return text.slice(0, length)
}

/** What differs from the usual. */
export interface KitOptions extends Partial<Omit<SealedSessionsOptions, 'cookies' | 'sealer'>> {
  readonly keys?: readonly string[]
  readonly binding?: Partial<Binding>
}

/** A store and what it is made of; `time` and `ring` can be moved. */
export interface Kit {
  readonly cookies: Cookies
  readonly sealer: Sealer
  readonly store: SessionStore
  readonly url: URL
  time: number
  ring: Keyring
}

/** Makes a store. */
export function sealingKit (options: KitOptions = {}): Kit {
  const { keys = [namedKey('a')], binding, ...rest } = options
  const bound = { ...BINDING, ...binding }
  const cookies = createCookies({ publicUrl: bound.origin, basePath: '/bff', sameSite: 'strict' }, serialize)
  const state = { time: NOW, ring: createKeyring(keys, bound) }
  const sealer = createSealer(() => state.ring)
  const store = createSessionStore({
    cookies, sealer, clock: () => state.time * 1000, budget: 14_000, ...rest
  })
  return Object.assign(state, { cookies, sealer, store, url: new URL(bound.origin) })
}

/** A jar on the kit's clock. */
export function jarFor (kit: Kit): CookieJar {
  return new CookieJar(() => kit.time * 1000)
}

/** Puts `Set-Cookie` values in a jar; throws for one that a browser would not take. */
export function take (jar: CookieJar, kit: Kit, setCookies: readonly string[]): void {
  for (const line of setCookies) {
    const result = jar.setCookie(line, kit.url)
    if (result !== 'stored' && result !== 'deleted') throw new Error(`${result}: ${line.slice(0, 60)}`)
  }
}

/** The `Cookie` header of what a store wrote to an empty jar. */
export async function headerOf (kit: Kit, session: Session, path = '/'): Promise<string> {
  const jar = jarFor(kit)
  take(jar, kit, await kit.store.write(session, null))
  return jar.header(new URL(path, kit.url)) ?? ''
}
