// A raw connection: bytes out, bytes in, for requests that no HTTP client would send.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Teardown } from './build.ts'

/** A raw connection. */
export interface Raw {
  readonly socket: Socket
  /** All that has come in, as latin1. */
  readonly received: string
  send (text: string): void
  /** Settles when what came in matches. */
  until (pattern: RegExp): Promise<string>
  /** Settles when the other side has closed. @returns all that came in */
  closed (): Promise<string>
}

/**
 * Opens a raw connection.
 *
 * @param t ends it
 * @param port on loopback
 */
export async function openRaw (t: Teardown, port: number): Promise<Raw> {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.on('data', (chunk) => { received += chunk.toString('latin1') })
  socket.on('error', () => {})
  const gone = once(socket, 'close')
  await once(socket, 'connect')
  t.teardown(() => { socket.destroy() })
  return {
    socket,
    get received () { return received },
    send: (text) => { socket.write(text, 'latin1') },
    until: async (pattern) => {
      while (!pattern.test(received)) {
        if (socket.closed) throw new Error(`closed before ${String(pattern)}: ${received}`)
        await Promise.race([once(socket, 'data'), gone])
      }
      return received
    },
    closed: async () => {
      await gone
      return received
    }
  }
}

/**
 * Sends one request and waits for the end of the connection.
 *
 * @param t ends it
 * @param port on loopback
 * @param text the request, byte for byte
 */
export async function exchangeRaw (t: Teardown, port: number, text: string): Promise<string> {
  const raw = await openRaw(t, port)
  raw.send(text)
  return await raw.closed()
}
