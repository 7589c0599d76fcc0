// Bulla as the benches measure it, and sessions for it.
import { randomBytes } from 'node:crypto'
import { loadConfig } from '../src/config/load.ts'
import { buildServer, type Server } from '../src/server.ts'
import { keycloak } from './token-sets.ts'

/**
 * Bulla in front of APIs, quiet, without an authorization server.
 *
 * @param key the ring key; sessions open where it is the same
 * @param routes to the APIs
 */
export async function bullaFor (key: string, routes: readonly object[]): Promise<Server> {
  return await buildServer(loadConfig({
    settings: {
      public_url: 'http://localhost:3000',
      host: '127.0.0.1',
      port: 0,
      issuer: 'http://127.0.0.1:9',
      client_id: 'app',
      client_secret: 'a-client-secret-of-a-bench',
      keys: [key],
      admin: { port: 'off' },
      log: { level: 'silent' },
      routes
    }
  }))
}

/** A ring key of one run. */
export function someKey (): string {
  return randomBytes(32).toString('base64url')
}

/**
 * The `Cookie` headers of so many sessions, each with tokens as Keycloak makes them.
 *
 * @param server seals them
 * @param count how many
 */
export async function cookiesFor ({ app }: Server, count: number): Promise<string[]> {
  const now = Math.floor(Date.now() / 1000)
  const { accessToken, refreshToken, idToken } = keycloak()
  const cookies: string[] = []
  for (let index = 0; index < count; index++) {
    const setCookies = await app.sessions.store.write({
      sid: randomBytes(16).toString('base64url'),
      generation: 0,
      subject: `user-${index}`,
      accessToken,
      refreshToken,
      idToken,
      accessTokenExpiresAt: now + 36_000,
      accessTokenIssuedAt: now,
      claims: { name: 'Nanni', email: 'nanni@ur.example' },
      createdAt: now,
      expiresAt: now + 40_000
    }, null)
    cookies.push(setCookies.map((value) => value.split(';', 1)[0] ?? '').filter((pair) => !pair.endsWith('=')).join('; '))
  }
  return cookies
}
