// What a session is, and the questions that are asked of it.
import { BASE64URL } from './base64url.ts'

/** A session: who logged in, and the tokens that speak for them. All times are Unix seconds. */
export interface Session {
  /** 128 random bits, base64url: new at every login. */
  readonly sid: string
  /** Counts refreshes: 0 at login. */
  readonly generation: number
  /** The `sub` of the ID token. */
  readonly subject: string
  /** The `sid` of the ID token, if the provider sends one. */
  readonly providerSid?: string
  readonly accessToken: string
  readonly accessTokenExpiresAt: number
  /** When the access token was issued to us; with the expiry it gives the lifetime. */
  readonly accessTokenIssuedAt: number
  readonly refreshToken?: string
  /** When the refresh token ends, if the provider tells (`refresh_expires_in` and the like). */
  readonly refreshTokenExpiresAt?: number
  /** Kept for logout and for comparing claims on refresh, as long as it fits. */
  readonly idToken?: string
  /** The granted scope, space-separated. */
  readonly scope?: string
  /** The claims of the allow-list that were present. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly createdAt: number
  /** The absolute end, which no refresh moves. */
  readonly expiresAt: number
  /** `auth_time` of the first ID token, if it had one. */
  readonly authTime?: number
}

/** What every request needs of a session. */
export interface SessionHead extends Pick<Session,
  'sid' | 'generation' | 'accessToken' | 'accessTokenExpiresAt' | 'accessTokenIssuedAt' | 'createdAt' | 'expiresAt'> {
  readonly hasRefreshToken: boolean
  readonly refreshTokenExpiresAt?: number | undefined
}

/** What a call needs of a session, and what entries of the revocation list name. */
export interface SessionSummary extends SessionHead {
  readonly subject: string
  readonly providerSid: string | undefined
}

/** A session that was opened: what few requests need of it is decoded when it is asked for. */
export interface OpenedSession extends SessionSummary {
  /** All of it; the same object each time. */
  whole (): Session
}

/** The times that a session's life hangs on. */
type Lifetimes = Pick<SessionHead, 'expiresAt' | 'refreshTokenExpiresAt' | 'accessTokenExpiresAt'>

/**
 * The Unix second at which the session ends: its absolute end, or sooner if the provider lets the refresh
 * token die before that. A living access token is used up first.
 *
 * @param session the session
 */
export function sessionEnd (session: Lifetimes): number {
  const { expiresAt, refreshTokenExpiresAt, accessTokenExpiresAt } = session
  if (refreshTokenExpiresAt === undefined) return expiresAt
  return Math.min(expiresAt, Math.max(refreshTokenExpiresAt, accessTokenExpiresAt))
}

/**
 * Whether the session's lifetime is over.
 *
 * @param session the session
 * @param now Unix seconds
 */
export function isExpired (session: Lifetimes, now: number): boolean {
  return now >= sessionEnd(session)
}

/**
 * Whether the access token can still be used.
 *
 * @param session the session
 * @param now Unix seconds
 */
export function hasLiveAccessToken (session: Lifetimes, now: number): boolean {
  return now < session.accessTokenExpiresAt
}

/**
 * The Unix second from which on the access token is refreshed: `ahead` before its expiry, but at most a fifth
 * of its lifetime, and earlier by up to a tenth of that, by session, so that sessions of one moment spread
 * out.
 *
 * @param session the session
 * @param ahead seconds
 */
export function refreshDueAt (
  session: Pick<Session, 'sid' | 'accessTokenExpiresAt' | 'accessTokenIssuedAt'>, ahead: number
): number {
  const lifetime = Math.max(0, session.accessTokenExpiresAt - session.accessTokenIssuedAt)
  const window = Math.min(ahead, lifetime / 5)
  const jitter = Math.max(0, BASE64URL.indexOf(session.sid.charAt(0))) / 63
  return Math.floor(session.accessTokenExpiresAt - window * (1 + jitter / 10))
}

/**
 * Whether a refresh is due and possible.
 *
 * @param session the session
 * @param now Unix seconds
 * @param ahead seconds before the expiry
 */
export function needsRefresh (session: SessionHead, now: number, ahead: number): boolean {
  return session.hasRefreshToken && now >= refreshDueAt(session, ahead)
}
