// Tells calls that their browser has gone: one listener for a connection, not one for each answer.
import type { EventEmitter } from 'node:events'

/** A call in flight. */
export interface Departing {
  /** The connection has gone. */
  left (): void
}

const kCalls = Symbol('bulla.calls')

/** One call is the rule; pipelined ones are a set. */
type Calls = Departing | Set<Departing> | null

/** What is watched: the browser's socket, or what stands for it. */
export type Connection = Pick<EventEmitter, 'on'> & { [kCalls]?: Calls }

/**
 * Calls back when a connection goes, until {@link unwatch}; not for one that has gone already.
 *
 * @param connection the browser's
 * @param call is told
 */
export function watch (connection: Connection, call: Departing): void {
  const calls = connection[kCalls]
  if (calls instanceof Set) calls.add(call)
  else if (calls === undefined || calls === null) {
    if (calls === undefined) connection.on('close', onClose)
    connection[kCalls] = call
  } else connection[kCalls] = new Set([calls, call])
}

/**
 * Calls back no longer.
 *
 * @param connection the browser's
 * @param call that is over
 */
export function unwatch (connection: Connection, call: Departing): void {
  const calls = connection[kCalls]
  if (calls === call) connection[kCalls] = null
  else if (calls instanceof Set) {
    calls.delete(call)
    if (calls.size === 0) connection[kCalls] = null
  }
}

function onClose (this: Connection): void {
  const calls = this[kCalls]
  if (calls instanceof Set) for (const call of calls) call.left()
  else calls?.left()
}
