// `Expect: 100-continue`: the go-ahead is given when a body is wanted, not before it is known whether it is.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/** Requests whose senders wait for the go-ahead. */
const waiting = new WeakSet<IncomingMessage>()

/**
 * Takes the go-ahead out of Node's hands. Whoever reads a body then calls {@link sendContinue} first.
 *
 * @param server the public listener
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
 */
export function holdContinue (server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.add(request)
    server.emit('request', request, response)
  })
}

/**
 * Gives the go-ahead if the sender waits for it.
 *
 * @param request whose body is wanted
 * @param response its answer
 */
export function sendContinue (request: IncomingMessage, response: ServerResponse): void {
  if (waiting.delete(request) && !response.headersSent) response.writeContinue()
}

/**
 * Whether the sender still waits, and may never send the body.
 *
 * @param request the request
 */
export function isWaiting (request: IncomingMessage): boolean {
  return waiting.has(request)
}
