// A session without a login: sealed by the Bulla under test itself, for tests that are not about logging in.
import { randomBytes } from 'node:crypto'
import type { Built } from './build.ts'
import type { Session } from '../../src/session/session.ts'

/**
 * The `Cookie` header of a new session.
 *
 * @param built the Bulla under test
 * @param session what differs from the usual
 */
export async function sessionCookie (built: Pick<Built, 'app'>, session: Partial<Session> = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const setCookies = await built.app.sessions.store.write({
    sid: randomBytes(16).toString('base64url'),
    generation: 0,
    subject: 'nanni',
    accessToken: 'an-access-token',
    accessTokenExpiresAt: now + 3600,
    accessTokenIssuedAt: now,
    claims: {},
    createdAt: now,
    expiresAt: now + 7200,
    ...session
  }, null)
  return setCookies.map((value) => value.split(';', 1)[0] ?? '').filter((pair) => !pair.endsWith('=')).join('; ')
}
