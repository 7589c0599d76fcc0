// Requests without a body: their end is told to whoever reads them, and to nobody else. Node plays a whole
// stream through for each (read, end, close: five turns of its tick queue); bench/README.md has what that
// costs. Newer versions of Node can do likewise (`optimizeEmptyRequests`), 20 cannot.
import { IncomingMessage } from 'node:http'

/** What Node calls once the answer is finished, so that nothing of the request is left on the connection. */
const dump = (IncomingMessage.prototype as IncomingMessage & { _dump (): void })._dump

/**
 * A request as the public listener makes it. To who reads it, and to who listens to it before its answer is
 * finished, it behaves as Node's own does.
 *
 * @see https://nodejs.org/docs/latest-v20.x/api/http.html#httpcreateserveroptions-requestlistener
 */
export class QuietRequest extends IncomingMessage {
  #hasReader = false
  #isEndHeld = false
  #isOver = false

  static {
    // An accessor that the types call a property. Node lets go of a request that says so.
    Object.defineProperty(this.prototype, 'readableEnded', {
      get (this: QuietRequest) {
        return this.#isOver || Reflect.get(IncomingMessage.prototype, 'readableEnded', this) as boolean
      }
    })
  }

  override push (chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk !== null || this.#hasReader || this.readableLength > 0) return super.push(chunk, encoding)
    this.#isEndHeld = true
    return false
  }

  override _read (size: number): void {
    this.#hasReader = true
    if (!this.#isEndHeld) return super._read(size)
    this.#isEndHeld = false
    this.push(null)
  }

  /** Nothing is left to read away; whoever listens hears the end. */
  _dump (): void {
    if (this.#isEndHeld && this.listenerCount('end') === 0 && this.listenerCount('close') === 0) this.#isOver = true
    else dump.call(this)
  }
}
