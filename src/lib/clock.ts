// The time as the product reads it: whole or fractional Unix seconds from a clock that tests can move.

/** Returns the current time in milliseconds since the Unix epoch, like `Date.now`. */
export type Clock = () => number

/** The real clock. */
export const systemClock: Clock = () => Date.now()

/**
 * The clock's time in whole Unix seconds, the unit of every sealed and published time.
 *
 * @param clock milliseconds since the epoch
 */
export function unixSeconds (clock: Clock): number {
  return Math.floor(clock() / 1000)
}
