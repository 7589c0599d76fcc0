// What must be remembered of one login between leaving for the provider and coming back; sealed in a cookie of its own.
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
