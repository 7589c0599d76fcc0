// What must be remembered of one login between leaving for the provider and coming back; sealed in a cookie
// of its own.
import { createHash } from 'node:crypto'
import * as oauth from 'oauth4webapi'

/** How the outcome of a silent login is told: to the framing page by a message, or by going on. */
export type Silence = 'frame' | 'page'

/** What a login is to be, decided when it starts. */
export interface LoginIntent {
  /** A local path that was acceptable when the login began; checked again when it is used. */
  readonly returnTo: string
  /** How often this login has been started again by itself. */
  readonly attempt: number
  /** Whether the answer comes by way of the app's own page (`POST /bff/login/end`). */
  readonly viaApp: boolean
  readonly silent?: Silence
  /** The values of `acr_values` that were asked for; the ID token must have one (IDT-10). */
  readonly acrValues?: readonly string[]
  /** The `max_age` that was asked for; the ID token must have a recent `auth_time` (IDT-11). */
  readonly maxAge?: number
  /** The live session's user, who must be the one that comes back (AUT-19). */
  readonly expectedSubject?: string
}

/** One login in flight. */
export interface LoginState extends LoginIntent {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

/** The length of the random part of a state: 256 bits. */
const RANDOM_LENGTH = 43
const STATE = /^[A-Za-z0-9_-]{43,2048}$/

/** How many characters of a state name its login's cookie. */
const ID_LENGTH = 8

/**
 * What a state says of itself, once opened: where the person wanted to go, and how often the login started
 * anew.
 * It helps a person whose login cookie is gone; it is no proof of anything and no session comes of it.
 */
export interface Ticket {
  readonly returnTo: string
  /** Unix seconds of the login's start. */
  readonly startedAt: number
  readonly attempt: number
}

/** Seals a ticket; opens one, or says `null` for whatever was not sealed here. */
export interface TicketSealer {
  seal (bytes: Uint8Array): Promise<string>
  open (text: string): Buffer | null
}

/**
 * Longer ones are left out of the state, so that the address stays short; their tickets lead to the default
 * page.
 */
const MAX_TICKET_PATH = 256

/**
 * Begins a login: fresh state, nonce and verifier of 256 bits each. The state carries a sealed {@link Ticket}
 * behind its random part.
 *
 * @param intent what the login is to be
 * @param sealer seals the ticket
 * @param now Unix seconds
 */
export async function createLoginState (
  intent: LoginIntent, sealer: TicketSealer, now: number
): Promise<LoginState> {
  const random = oauth.generateRandomState()
  const { returnTo, attempt } = intent
  const path = returnTo.length <= MAX_TICKET_PATH ? { r: returnTo } : {}
  const kept = { i: random.slice(0, ID_LENGTH), n: attempt, t: now, ...path }
  const ticket = await sealer.seal(Buffer.from(JSON.stringify(kept)))
  return {
    ...intent,
    state: random + Buffer.from(ticket).toString('base64url'),
    nonce: oauth.generateRandomNonce(),
    codeVerifier: oauth.generateRandomCodeVerifier()
  }
}

/**
 * The id of a login's cookie: the first characters of its state; the other 210 random bits stay secret.
 *
 * @param state as created, or as an answer claims it
 * @returns the id, or `null` for what is no state of ours
 */
export function loginId (state: string | null): string | null {
  return state !== null && STATE.test(state) ? state.slice(0, ID_LENGTH) : null
}

/**
 * The ticket of a state.
 *
 * @param state as an answer claims it
 * @param sealer opens it
 * @param fallback where to go if the ticket does not say
 * @returns the ticket, or `null` if this deployment never gave out that state
 */
export function ticketOf (state: string | null, sealer: TicketSealer, fallback: string): Ticket | null {
  if (state === null || !STATE.test(state)) return null
  const bytes = sealer.open(Buffer.from(state.slice(RANDOM_LENGTH), 'base64url').toString('latin1'))
  if (bytes === null) return null
  const kept = JSON.parse(bytes.toString()) as { i: string, n: number, t: number, r?: string }
  if (kept.i !== state.slice(0, ID_LENGTH)) return null
  return { returnTo: kept.r ?? fallback, attempt: kept.n, startedAt: kept.t }
}

/**
 * The `sid` of the session that a login becomes: as random as its verifier, and known before the session is,
 * so
 * that a logout can end a login in flight too.
 *
 * @param login the login
 * @returns 128 bits, base64url
 */
export function sessionIdOf (login: Pick<LoginState, 'codeVerifier'>): string {
  return createHash('sha256').update(`bulla/1 sid ${login.codeVerifier}`).digest().subarray(0, 16).toString('base64url')
}
