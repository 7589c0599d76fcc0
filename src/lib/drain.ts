// What is left of a body after its request was answered: read away within bounds, so that the answer arrives.
import type { IncomingMessage } from 'node:http'

/** Bytes and milliseconds that an unwanted rest may take. */
const MOST_BYTES = 1024 * 1024
const MOST_TIME = 5_000

/**
 * Reads the rest of a request's body away. A connection that sends more or longer than is sensible is cut;
 * closing it at once would take the answer back that it has not read yet.
 *
 * @param request whose body nobody reads any more
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-9.6
 */
export function drain (request: IncomingMessage): void {
  if (request.complete && request.readableLength === 0) return
  if (request.destroyed || request.readableEnded) return
  let size = 0
  const cut = (): void => { request.destroy() }
  const timer = setTimeout(cut, MOST_TIME).unref()
  request.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > MOST_BYTES) cut()
  })
  request.on('error', cut)
  const stop = (): void => { clearTimeout(timer) }
  request.once('end', stop)
  request.once('close', stop)
  request.resume()
}
