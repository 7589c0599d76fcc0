// What must be remembered of one login between leaving for the provider and coming back; sealed in a cookie of its own.
import { createHash } from 'node:crypto'
import * as oauth from 'oauth4webapi'

/** One login in flight. */
export interface LoginState {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
  /** A local path that was acceptable when the login began; checked again when it is used. */
  readonly returnTo: string
}

/**
 * Begins a login: fresh state, nonce and verifier of 256 bits each.
 *
 * @param returnTo an acceptable local path
 */
export function createLoginState (returnTo: string): LoginState {
  return {
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    codeVerifier: oauth.generateRandomCodeVerifier(),
    returnTo
  }
}

const STATE = /^[A-Za-z0-9_-]{43}$/

/**
 * The id of a login's cookie: the first characters of its state; the other 210 bits stay secret.
 *
 * @param state as created, or as an answer claims it
 * @returns the id, or `null` for what is no state of ours
 */
export function loginId (state: string | null): string | null {
  return state !== null && STATE.test(state) ? state.slice(0, 8) : null
}

/**
 * The `sid` of the session that a login becomes: as random as its verifier, and known before the session is, so
 * that a logout can end a login in flight too.
 *
 * @param login the login
 * @returns 128 bits, base64url
 */
export function sessionIdOf (login: Pick<LoginState, 'codeVerifier'>): string {
  return createHash('sha256').update(`bulla/1 sid ${login.codeVerifier}`).digest().subarray(0, 16).toString('base64url')
}
