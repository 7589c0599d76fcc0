// Whole answers leave together, once in each turn of the event loop: the peers are woken once for all of
// them, not for each, and the same code runs in a row. bench/README.md has what that is worth.
import type { CallResponse } from './forward.ts'

interface Answer { readonly response: CallResponse, readonly body: string }

/** Collects the answers that one turn of the event loop has ready, and sends them at the end of the turn. */
export class Outbox {
  #answers: Answer[] = []

  /**
   * Sends an answer at the end of this turn.
   *
   * @param response whose header is prepared, and not sent
   * @param body all of it, a character for each byte
   */
  add (response: CallResponse, body: string): void {
    if (this.#answers.push({ response, body }) === 1) setImmediate(flush, this)
  }

  /** Sends what has come together. */
  flush (): void {
    const answers = this.#answers
    this.#answers = []
    for (let i = 0; i < answers.length; i++) send(answers[i] as Answer)
  }
}

function flush (outbox: Outbox): void { outbox.flush() }

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
