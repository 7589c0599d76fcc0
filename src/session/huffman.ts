// A canonical Huffman code of deflate: built from the lengths of its codes, read through a table.

/** The most bits of a code. */
const MAX_BITS = 15

/** A canonical Huffman code. @see RFC 1951, section 3.2.2 */
export class HuffmanCode {
  /** By the next bits: the symbol, shifted by four, and its length; 0 for none, or a code of more bits. */
  readonly fast: Uint16Array
  readonly #fastBits: number
  readonly #counts = new Uint16Array(MAX_BITS + 1)
  readonly #offsets = new Uint16Array(MAX_BITS + 2)
  /** The used symbols as they came, shifted by four, and their lengths: few of those that there could be. */
  readonly #added: Uint16Array
  #addedCount = 0
  readonly #sorted: Uint16Array

  /**
   * @param size how many symbols there are
   * @param fastBits how many bits the table looks up; longer codes are rare, and read bit by bit
   */
  constructor (size: number, fastBits: number) {
    this.#added = new Uint16Array(size)
    this.#sorted = new Uint16Array(size)
    this.#fastBits = fastBits
    this.fast = new Uint16Array(1 << fastBits)
  }

  /** Begins another code. */
  clear (): void {
    this.#counts.fill(0)
    this.#addedCount = 0
  }

  /**
   * Adds a symbol; they come in order.
   *
   * @param symbol the next one that is used
   * @param bits of its code
   */
  add (symbol: number, bits: number): void {
    this.#added[this.#addedCount++] = symbol << 4 | bits
    this.#counts[bits] = (this.#counts[bits] as number) + 1
  }

  /**
   * Builds the code.
   *
   * @param mayBeSingle whether one code of one bit will do
   * @throws {RangeError} if no code has these lengths
   */
  build (mayBeSingle: boolean): void {
    const counts = this.#counts
    const used = this.#addedCount
    const offsets = this.#offsets
    offsets[1] = 0
    let left = 1
    for (let bits = 1; bits <= MAX_BITS; bits++) {
      const count = counts[bits] as number
      left = left * 2 - count
      if (left < 0) throw new RangeError('more codes than bits')
      offsets[bits + 1] = (offsets[bits] as number) + count
    }
    if (left > 0 && used > 0 && !(mayBeSingle && used === 1 && counts[1] === 1)) throw new RangeError('codes are missing')
    const sorted = this.#sorted
    const added = this.#added
    for (let i = 0; i < used; i++) {
      const entry = added[i] as number
      const bits = entry & 15
      const at = offsets[bits] as number
      sorted[at] = entry
      offsets[bits] = at + 1
    }
    this.#fill(used)
  }

  /** Codes come in the order of their lengths and symbols; the bits of each come in reverse. */
  #fill (used: number): void {
    const { fast } = this
    const fastBits = this.#fastBits
    const size = fast.length
    const sorted = this.#sorted
    fast.fill(0)
    let code = 0
    for (let index = 0; index < used; index++) {
      const entry = sorted[index] as number
      const bits = entry & 15
      if (bits > fastBits) return
      const step = 1 << bits
      for (let at = code; at < size; at += step) fast[at] = entry
      // The next code, counted from its last bit on.
      let carry = step >> 1
      while ((code & carry) !== 0) {
        code ^= carry
        carry >>= 1
      }
      code |= carry
    }
  }

  /**
   * Reads a code of any length from bits.
   *
   * @returns the symbol, shifted by four, and its length
   * @throws {RangeError} if there is none
   */
  slow (bits: number): number {
    let code = 0
    let first = 0
    let index = 0
    for (let length = 1; length <= MAX_BITS; length++) {
      code |= bits >>> (length - 1) & 1
      const count = this.#counts[length] as number
      if (code - count < first) return this.#sorted[index + code - first] as number
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    throw new RangeError('no such code')
  }
}
