// Does the same work for all that came within one turn of the event loop, in a row, at the turn's end: code
// and memory that one needs are still at hand for the next. bench/README.md has what that is worth.

/** What one turn of the event loop brings. */
export class Turn<T> {
  #items: T[] = []
  readonly #handle: (item: T) => void

  /** @param handle is called for each item, in their order; it must not throw */
  constructor (handle: (item: T) => void) {
    this.#handle = handle
  }

  /** Has an item handled at the end of this turn. */
  add (item: T): void {
    if (this.#items.push(item) === 1) setImmediate(() => { this.finish() })
  }

  /** Handles what has come together. */
  finish (): void {
    const items = this.#items
    this.#items = []
    for (let i = 0; i < items.length; i++) this.#handle(items[i] as T)
  }
}
