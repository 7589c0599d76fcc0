// A canonical Huffman code of deflate: built from the lengths of its codes, read through a table.

/** The most bits of a code. */
export const MAX_BITS = 15

/** A canonical Huffman code. @see RFC 1951, section 3.2.2 */
export class HuffmanCode {
  /** By the next bits: the symbol, shifted by four, and its length; 0 for none, or a code of more bits. */
  readonly fast: Uint16Array
  readonly #fastBits: number
  readonly #counts = new Uint16Array(MAX_BITS + 1)
  readonly #offsets = new Uint16Array(MAX_BITS + 2)
  readonly #symbols: Uint16Array

  /**
   * @param size how many symbols there are
   * @param fastBits how many bits the table looks up; longer codes are rare, and read bit by bit
   */
  constructor (size: number, fastBits: number) {
    this.#symbols = new Uint16Array(size)
    this.#fastBits = fastBits
    this.fast = new Uint16Array(1 << fastBits)
  }

  /**
   * Builds the code.
   *
   * @param lengths of the codes of the symbols, 0 for unused ones
   * @param start of the lengths that count
   * @param end of them
   * @param mayBeSingle whether one code of one bit will do
   * @throws {RangeError} if no code has these lengths
   */
  build (lengths: Uint8Array, start: number, end: number, mayBeSingle: boolean): void {
    const counts = this.#counts.fill(0)
    for (let i = start; i < end; i++) {
      const bits = lengths[i] as number
      counts[bits] = (counts[bits] as number) + 1
    }
    const used = end - start - (counts[0] as number)
    counts[0] = 0
    let left = 1
    const offsets = this.#offsets
    for (let bits = 1; bits <= MAX_BITS; bits++) {
      left = left * 2 - (counts[bits] as number)
      if (left < 0) throw new RangeError('more codes than bits')
      offsets[bits + 1] = (offsets[bits] as number) + (counts[bits] as number)
    }
    if (left > 0 && used > 0 && !(mayBeSingle && used === 1 && counts[1] === 1)) throw new RangeError('codes are missing')
    const symbols = this.#symbols
    for (let i = start; i < end; i++) {
      const bits = lengths[i] as number
      if (bits === 0) continue
      symbols[offsets[bits] as number] = i - start
      offsets[bits] = (offsets[bits] as number) + 1
    }
    offsets.fill(0)
    this.#fill()
  }

  /** Codes come in the order of their symbols; the bits of each come in reverse. */
  #fill (): void {
    const { fast } = this
    const fastBits = this.#fastBits
    fast.fill(0)
    const size = fast.length
    let code = 0
    let index = 0
    for (let bits = 1; bits <= fastBits; bits++) {
      const step = 1 << bits
      for (let n = this.#counts[bits] as number; n > 0; n--) {
        const entry = (this.#symbols[index++] as number) << 4 | bits
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
      if (code - count < first) return (this.#symbols[index + code - first] as number) << 4 | length
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    throw new RangeError('no such code')
  }
}
