// Inflates the text of a session: what node:zlib does, without the stream and the 40 KB of state that it
// makes for each call, which cost more than inflating some hundred bytes. test/session/inflate.test.ts holds
// it against node:zlib.
import { DISTANCE_BASE, DISTANCE_BITS, LENGTH_BASE, LENGTH_BITS, ORDER } from './deflate.ts'
import { HuffmanCode } from './huffman.ts'

const END_OF_BLOCK = 256

/** Room behind the longest text: for zeros that are looked at, and for what deflating noise adds to it. */
const MARGIN = 1024

/** How many bytes behind the end are zeros. What is read from there, or beyond, comes out nowhere. */
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
  /** In bits. */
  #at = 0
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
    this.#at = 0
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
    // The rest of a byte is padding.
    let at = (this.#at + 7) >> 3
    const input = this.#in
    const length = (input[at] as number) | (input[at + 1] as number) << 8
    const inverse = (input[at + 2] as number) | (input[at + 3] as number) << 8
    at += 4
    if (length !== (~inverse & 0xffff) || at + length > this.#inEnd || this.#position + length > this.#end) {
      throw new RangeError('a block is not as long as it says')
    }
    this.#out.set(input.subarray(at, at + length), this.#position)
    this.#at = (at + length) * 8
    this.#position += length
  }

  #readCodes (): void {
    const literals = this.#take(5) + 257
    const distances = this.#take(5) + 1
    if (literals > 286 || distances > 30) throw new RangeError('too many codes')
    this.#readLengthCode(this.#take(4) + 4)
    this.#literals.clear()
    this.#distances.clear()
    this.#readLengths(literals, literals + distances)
    this.#literals.build(true)
    this.#distances.build(true)
  }

  /** The code in which the lengths of the two others are written. */
  #readLengthCode (count: number): void {
    const own = this.#codeLengths.fill(0)
    for (let i = 0; i < count; i++) own[ORDER[i] as number] = this.#take(3)
    this.#lengthCode.clear()
    for (let i = 0; i < own.length; i++) if (own[i] !== 0) this.#lengthCode.add(i, own[i] as number)
    this.#lengthCode.build(false)
  }

  /** Of literals and distances, in one list: a repetition may begin in one and end in the other. */
  #readLengths (literals: number, all: number): void {
    const input = this.#in
    const { fast } = this.#lengthCode
    let at = this.#at
    let before = -1
    let hasEnd = false
    for (let i = 0; i < all;) {
      const entry = fast[peek(input, at) & (fast.length - 1)] as number
      if (entry === 0) throw new RangeError('no such code')
      at += entry & 15
      const symbol = entry >> 4
      let end = i + 1
      if (symbol < 16) before = symbol
      else if (symbol === 16) {
        if (before < 0) throw new RangeError('nothing to repeat')
        end = i + 3 + (peek(input, at) & 3)
        at += 2
      } else {
        before = 0
        end = i + (symbol === 17 ? 3 + (peek(input, at) & 7) : 11 + (peek(input, at) & 127))
        at += symbol === 17 ? 3 : 7
      }
      if (end > all) throw new RangeError('too many codes')
      if (before === 0) {
        i = end
        continue
      }
      if (i <= END_OF_BLOCK && end > END_OF_BLOCK) hasEnd = true
      for (; i < end; i++) {
        if (i < literals) this.#literals.add(i, before)
        else this.#distances.add(i - literals, before)
      }
    }
    if (!hasEnd) throw new RangeError('a block without end')
    this.#at = at
  }

  /**
   * The one loop that is run for each symbol: its state is in variables, and goes back at the end. The next
   * bits are put together for each look-up: keeping some at hand needs a branch that no processor foresees.
   */
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
    let position = this.#position
    while (position < enough) {
      let bits = peek(input, at)
      let entry = literalTable[bits & literalMask] as number
      if (entry === 0) entry = literals.slow(bits)
      at += entry & 15
      const symbol = entry >> 4
      if (symbol < END_OF_BLOCK) {
        if (position === end) throw new RangeError('the text is longer than it says')
        out[position++] = symbol
        continue
      }
      if (symbol === END_OF_BLOCK) break
      if (symbol > 285) throw new RangeError('no such length')
      const lengthBits = LENGTH_BITS[symbol - 257] as number
      const length = (LENGTH_BASE[symbol - 257] as number) + (peek(input, at) & ((1 << lengthBits) - 1))
      const to = position + length
      at += lengthBits
      bits = peek(input, at)
      entry = distanceTable[bits & distanceMask] as number
      if (entry === 0) entry = distances.slow(bits)
      at += entry & 15
      const which = entry >> 4
      if (which > 29) throw new RangeError('no such distance')
      const distanceBits = DISTANCE_BITS[which] as number
      let from = position - (DISTANCE_BASE[which] as number) - (peek(input, at) & ((1 << distanceBits) - 1))
      at += distanceBits
      if (to > end || from < 0) throw new RangeError('a copy from or to nowhere')
      while (position < to) out[position++] = out[from++] as number
    }
    this.#at = at
    this.#position = position
  }

  #take (count: number): number {
    if (this.#isPastEnd()) throw new RangeError('the bytes end too early')
    const value = peek(this.#in, this.#at) & ((1 << count) - 1)
    this.#at += count
    return value
  }

  /** What stands behind the input may be looked at, but nothing that used it comes out. */
  #isPastEnd (): boolean {
    return this.#at > this.#inEnd * 8
  }
}

/** At least 17 bits, from a bit on. */
function peek (input: Uint8Array, at: number): number {
  const byte = at >> 3
  const three = (input[byte] as number) | (input[byte + 1] as number) << 8 | (input[byte + 2] as number) << 16
  return three >> (at & 7)
}
