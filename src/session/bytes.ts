// Numbers and runs of bytes, written and read one after the other; reading past the end throws.

/** Writes integers of any size up to 2^53 in 7-bit groups, the lowest first. */
export class ByteWriter {
  readonly #bytes: number[] = []

  /** A whole number from 0 on. */
  varint (value: number): void {
    let rest = value
    while (rest >= 128) {
      this.#bytes.push((rest % 128) + 128)
      rest = Math.floor(rest / 128)
    }
    this.#bytes.push(rest)
  }

  /** A whole number of either sign: 0, -1, 1, -2 … are 0, 1, 2, 3 … */
  signed (value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value)
  }

  /** Bytes as they are. */
  raw (bytes: Uint8Array): void {
    for (const byte of bytes) this.#bytes.push(byte)
  }

  /** What was written so far. */
  toBuffer (): Buffer {
    return Buffer.from(this.#bytes)
  }
}

/** Reads what {@link ByteWriter} wrote. */
export class ByteReader {
  readonly #bytes: Buffer
  #at: number
  readonly #end: number

  /**
   * @param bytes to read from
   * @param start of what may be read
   * @param end of what may be read
   */
  constructor (bytes: Buffer, start = 0, end = bytes.length) {
    if (end > bytes.length) throw new RangeError('the bytes end too early')
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  /** Where the next read starts. */
  get position (): number { return this.#at }

  /**
   * A whole number from 0 on.
   *
   * @throws {RangeError} at the end, or beyond 2^53
   */
  varint (): number {
    let value = 0
    for (let scale = 1; scale <= Number.MAX_SAFE_INTEGER; scale *= 128) {
      const byte = this.#byte()
      value += (byte & 127) * scale
      if (byte < 128 && value <= Number.MAX_SAFE_INTEGER) return value
    }
    throw new RangeError('a number is too large')
  }

  /** A whole number of either sign. */
  signed (): number {
    const value = this.varint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /**
   * Passes over bytes.
   *
   * @returns where they start
   */
  skip (length: number): number {
    const start = this.#at
    if (start + length > this.#end) throw new RangeError('the bytes end too early')
    this.#at = start + length
    return start
  }

  #byte (): number {
    const byte = this.#at < this.#end ? this.#bytes[this.#at++] : undefined
    if (byte === undefined) throw new RangeError('the bytes end too early')
    return byte
  }
}
