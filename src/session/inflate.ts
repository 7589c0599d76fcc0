// Inflates the text of a session: what node:zlib does, without the stream and the 40 KB of state that it
// makes for each call, which cost more than inflating some hundred bytes. test/session/inflate.test.ts holds
// it against node:zlib.
import { DISTANCE_BASE, DISTANCE_BITS, LENGTH_BASE, LENGTH_BITS, ORDER } from './deflate.ts'
import { HuffmanCode, MAX_BITS } from './huffman.ts'

const END_OF_BLOCK = 256

/** Room behind the longest text: for zeros that are read ahead, and for what deflating noise adds to it. */
const MARGIN = 1024

/** How many bytes behind the end may be held as bits that nothing needs. */
const READ_AHEAD = 4

/** Inflates with a preset dictionary into memory of its own. */
export class Inflater {
  readonly #out: Uint8Array
  readonly #start: number
  readonly #codeLengths = new Uint8Array(19)
  readonly #lengthCode = new HuffmanCode(19, 7)
  readonly #literals = new HuffmanCode(288, 9)
  readonly #distances = new HuffmanCode(32, 7)
  readonly #fixedLiterals = new HuffmanCode(288, 9)
  readonly #fixedDistances = new HuffmanCode(32, 5)
  readonly #in: Uint8Array
  #inEnd = 0
  #at = 0
  #bits = 0
  #bitCount = 0
  #position = 0
  #end = 0
  #enough = 0

  /**
   * @param dictionary what stands before the text
   * @param maxLength the most bytes of a text, deflated or not
   */
  constructor (dictionary: Uint8Array, maxLength: number) {
    this.#start = dictionary.length
    this.#out = new Uint8Array(dictionary.length + maxLength)
    this.#in = new Uint8Array(maxLength + MARGIN)
    this.#out.set(dictionary)
    // RFC 1951, section 3.2.6
    for (let i = 0; i < 288; i++) this.#fixedLiterals.add(i, i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)
    for (let i = 0; i < 32; i++) this.#fixedDistances.add(i, 5)
    this.#fixedLiterals.build(false)
    this.#fixedDistances.build(false)
  }

  /**
   * Inflates a text, or as much of its beginning as is needed.
   *
   * @param deflated raw deflate; what follows its end is ignored
   * @param length of the text
   * @param needed how many bytes of it will do. Default: all of it, and then it is checked to its end
   * @returns the text, or more than is needed of its beginning; good until the next call
   * @throws {RangeError} if it cannot be read, or has another length
   * @see https://www.rfc-editor.org/rfc/rfc1951
   */
  inflate (deflated: Uint8Array, length: number, needed = length): Buffer {
    const start = this.#start
    if (length > this.#out.length - start) throw new RangeError('the text is too large')
    if (deflated.length > this.#in.length - 2 * READ_AHEAD) throw new RangeError('too many bytes')
    this.#in.set(deflated)
    this.#in.fill(0, deflated.length, deflated.length + 2 * READ_AHEAD)
    this.#inEnd = deflated.length
    this.#at = this.#bits = this.#bitCount = 0
    this.#position = start
    this.#end = start + length
    this.#enough = needed < length ? start + needed : Infinity
    let isLast = false
    while (!isLast && this.#position < this.#enough) {
      isLast = this.#take(1) === 1
      this.#block(this.#take(2))
    }
    if (this.#isPastEnd()) throw new RangeError('the bytes end too early')
    const isShort = this.#position < Math.min(this.#enough, this.#end)
    if (isShort) throw new RangeError('the text is not as long as it says')
    return Buffer.from(this.#out.buffer, start, this.#position - start)
  }

  #block (kind: number): void {
    if (kind === 0) this.#stored()
    else if (kind === 1) this.#coded(this.#fixedLiterals, this.#fixedDistances)
    else if (kind === 2) {
      this.#readCodes()
      this.#coded(this.#literals, this.#distances)
    } else throw new RangeError('no such block')
  }

  #stored (): void {
    // Whole bytes that were read ahead go back; the rest of the last one is padding.
    let at = this.#at - (this.#bitCount >> 3)
    this.#bits = this.#bitCount = 0
    const input = this.#in
    const length = (input[at] as number) | (input[at + 1] as number) << 8
    const inverse = (input[at + 2] as number) | (input[at + 3] as number) << 8
    at += 4
    if (length !== (~inverse & 0xffff) || at + length > this.#inEnd || this.#position + length > this.#end) {
      throw new RangeError('a block is not as long as it says')
    }
    this.#out.set(input.subarray(at, at + length), this.#position)
    this.#at = at + length
    this.#position += length
  }

  #readCodes (): void {
    const literals = this.#take(5) + 257
    const distances = this.#take(5) + 1
    if (literals > 286 || distances > 30) throw new RangeError('too many codes')
    const own = this.#codeLengths.fill(0)
    for (let count = this.#take(4) + 4, i = 0; i < count; i++) own[ORDER[i] as number] = this.#take(3)
    const lengthCode = this.#lengthCode
    lengthCode.clear()
    for (let i = 0; i < 19; i++) if (own[i] !== 0) lengthCode.add(i, own[i] as number)
    lengthCode.build(false)
    this.#literals.clear()
    this.#distances.clear()
    const all = literals + distances
    let before = -1
    let hasEnd = false
    for (let i = 0; i < all;) {
      const symbol = this.#symbol(lengthCode)
      let value = symbol
      let more = 1
      if (symbol === 16) {
        if (before < 0) throw new RangeError('nothing to repeat')
        value = before
        more = 3 + this.#take(2)
      } else if (symbol > 16) {
        value = 0
        more = symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7)
      }
      const end = i + more
      if (end > all) throw new RangeError('too many codes')
      before = value
      if (value !== 0 && i <= END_OF_BLOCK && end > END_OF_BLOCK) hasEnd = true
      if (value === 0) i = end
      for (; i < end; i++) {
        if (i < literals) this.#literals.add(i, value)
        else this.#distances.add(i - literals, value)
      }
    }
    if (!hasEnd) throw new RangeError('a block without end')
    this.#literals.build(true)
    this.#distances.build(true)
  }

  /** The one loop that is run for each symbol: its state is in variables, and goes back at the end. */
  #coded (literals: HuffmanCode, distances: HuffmanCode): void {
    const out = this.#out
    const input = this.#in
    const end = this.#end
    const enough = this.#enough
    const literalTable = literals.fast
    const literalMask = literalTable.length - 1
    const distanceTable = distances.fast
    const distanceMask = distanceTable.length - 1
    let at = this.#at
    let bits = this.#bits
    let count = this.#bitCount
    let position = this.#position
    while (position < enough) {
      // Never more than 30 bits: they stay small integers.
      if (count < MAX_BITS) {
        bits |= ((input[at] as number) | (input[at + 1] as number) << 8) << count
        at += 2
        count += 16
      }
      let entry = literalTable[bits & literalMask] as number
      if (entry === 0) entry = literals.slow(bits)
      bits >>= entry & 15
      count -= entry & 15
      const symbol = entry >> 4
      if (symbol < END_OF_BLOCK) {
        if (position === end) throw new RangeError('the text is longer than it says')
        out[position++] = symbol
        continue
      }
      if (symbol === END_OF_BLOCK) break
      if (symbol > 285) throw new RangeError('no such length')
      if (count < MAX_BITS) {
        bits |= ((input[at] as number) | (input[at + 1] as number) << 8) << count
        at += 2
        count += 16
      }
      const lengthBits = LENGTH_BITS[symbol - 257] as number
      const to = position + (LENGTH_BASE[symbol - 257] as number) + (bits & ((1 << lengthBits) - 1))
      bits >>= lengthBits
      count -= lengthBits
      if (count < MAX_BITS) {
        bits |= ((input[at] as number) | (input[at + 1] as number) << 8) << count
        at += 2
        count += 16
      }
      entry = distanceTable[bits & distanceMask] as number
      if (entry === 0) entry = distances.slow(bits)
      bits >>= entry & 15
      count -= entry & 15
      const which = entry >> 4
      if (which > 29) throw new RangeError('no such distance')
      if (count < MAX_BITS) {
        bits |= ((input[at] as number) | (input[at + 1] as number) << 8) << count
        at += 2
        count += 16
      }
      const distanceBits = DISTANCE_BITS[which] as number
      let from = position - (DISTANCE_BASE[which] as number) - (bits & ((1 << distanceBits) - 1))
      bits >>= distanceBits
      count -= distanceBits
      if (to > end || from < 0) throw new RangeError('a copy from or to nowhere')
      while (position < to) out[position++] = out[from++] as number
    }
    this.#at = at
    this.#bits = bits
    this.#bitCount = count
    this.#position = position
  }

  #symbol (code: HuffmanCode): number {
    this.#need(MAX_BITS)
    let entry = code.fast[this.#bits & (code.fast.length - 1)] as number
    if (entry === 0) entry = code.slow(this.#bits)
    this.#bits >>= entry & 15
    this.#bitCount -= entry & 15
    return entry >> 4
  }

  #take (count: number): number {
    this.#need(count)
    const value = this.#bits & ((1 << count) - 1)
    this.#bits >>= count
    this.#bitCount -= count
    return value
  }

  #need (count: number): void {
    if (this.#bitCount >= count) return
    if (this.#at > this.#inEnd + READ_AHEAD) throw new RangeError('the bytes end too early')
    this.#bits |= ((this.#in[this.#at] as number) | (this.#in[this.#at + 1] as number) << 8) << this.#bitCount
    this.#at += 2
    this.#bitCount += 16
  }

  /** What stands behind the input may be read ahead, but nothing that used it comes out. */
  #isPastEnd (): boolean {
    return this.#at * 8 - this.#bitCount > this.#inEnd * 8
  }
}
