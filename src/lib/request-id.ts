// Names for requests: unique, cheap, and of no meaning to anyone.
import { randomBytes } from 'node:crypto'

/** Ids of one prefix; then another is drawn, so that numbers stay short. */
const PER_PREFIX = 36 ** 6

/**
 * Creates a source of request ids: 96 random bits for the process, and a counter.
 *
 * @param random gives the random bytes
 */
export function createRequestIds (random: (size: number) => Buffer = randomBytes): () => string {
  let prefix = ''
  let count = PER_PREFIX
  return () => {
    if (count >= PER_PREFIX) {
      prefix = `${random(12).toString('base64url')}-`
      count = 0
    }
    count += 1
    return prefix + count.toString(36)
  }
}
