// Tells calls that their browser has gone: one listener for a connection, not one for each answer.
import type { Socket } from 'node:net'

/** A call in flight. */
export interface Departing {
  /** The connection has gone. */
  left (): void
}

const kCalls = Symbol('bulla.calls')

type Connection = Socket & { [kCalls]?: Set<Departing> }

/**
 * Calls back when a connection goes, until {@link unwatch}; not for one that has gone already.
 *
 * @param connection the browser's
 * @param call is told
 */
export function watch (connection: Connection, call: Departing): void {
  let calls = connection[kCalls]
  if (calls === undefined) {
    calls = connection[kCalls] = new Set()
    connection.on('close', onClose)
  }
  calls.add(call)
}

/**
 * Calls back no longer.
 *
 * @param connection the browser's
 * @param call that is over
 */
export function unwatch (connection: Connection, call: Departing): void {
  connection[kCalls]?.delete(call)
}

function onClose (this: Connection): void {
  for (const call of this[kCalls] ?? []) call.left()
}
