// Whole answers leave together, once in each turn of the event loop: the peers are woken once for all of
// them, not for each.
import type { ServerResponse } from 'node:http'
import { Turn } from '../lib/turn.ts'

/** A whole answer: its header is prepared, and not sent; its body has a character for each byte. */
export interface Answer { readonly response: ServerResponse, readonly body: string }

/** The answers that one turn of the event loop has ready. */
export type Outbox = Turn<Answer>

/** Creates the outbox of a process. */
export function createOutbox (): Outbox {
  return new Turn(send)
}

/** As text, Node writes it in one piece with the header; end(body) would make a costly vector of both. */
function send ({ response, body }: Answer): void {
  const { socket } = response
  if (response.destroyed || response.writableEnded) return
  // Corked here, or Node would cork it itself and uncork it one turn later.
  socket?.cork()
  response.write(body, 'latin1')
  socket?.uncork()
  response.end()
}
