// Numbers and text in one run of bytes: versioned, deflated with a dictionary, inflating capped.
import { deflateRawSync } from 'node:zlib'
import { ByteReader, ByteWriter } from './bytes.ts'
import { DICTIONARY } from './dictionary.ts'
import { Inflater } from './inflate.ts'
import { TextReader, type TextWriter } from './text-parts.ts'

/*
 * How the format evolves. The first byte is the major version, the second the minor one.
 * - What may be left unread is a minor version: new numbers, flags and strings go behind the old ones, a
 *   reader takes those that it knows and stops. Fields of the session that codec.ts does not name travel
 *   as JSON.
 * - Everything else (another order, another dictionary) is a major version. A release first reads it, the
 *   next release writes it, so that replicas of both understand each other; an unknown one reads as "no
 *   session".
 */
const MAJOR = 1
const MINOR = 0

/** The most bytes that the text of a session may have, inflated. */
export const MAX_TEXT = 64 * 1024

const dictionary = Buffer.from(DICTIONARY, 'latin1')
const inflater = new Inflater(dictionary, MAX_TEXT)

/** Reads the fields; `bytes` is the whole, since raw fields stand among the numbers. */
export type ReadFields<T> = (numbers: ByteReader, text: TextReader, bytes: Buffer) => T

/**
 * Puts what was written together: version, length of the numbers, numbers, length of the text inflated and
 * deflated, deflated text, raw bytes.
 *
 * @param numbers the numbers
 * @param strings the strings, whose lengths are among the numbers
 * @throws {RangeError} if the text is larger than {@link MAX_TEXT}
 */
export function pack (numbers: ByteWriter, strings: TextWriter): Buffer {
  const text = Buffer.concat(strings.text)
  if (text.length > MAX_TEXT) throw new RangeError('the session has more text than can be kept')
  const deflated = deflateRawSync(text, { level: 9, memLevel: 9, dictionary })
  const numberBytes = numbers.toBuffer()
  const lengths = new ByteWriter()
  lengths.varint(text.length)
  lengths.varint(deflated.length)
  const head = new ByteWriter()
  head.varint(MAJOR)
  head.varint(MINOR)
  head.varint(numberBytes.length)
  return Buffer.concat([head.toBuffer(), numberBytes, lengths.toBuffer(), deflated, ...strings.raw])
}

/**
 * Takes apart what {@link pack} put together. Never throws.
 *
 * @param bytes the whole; bytes that follow are ignored
 * @param read reads the fields
 * @param isPart whether only the first fields are read: then no more is inflated than they need
 * @returns what `read` returned, or `null` for another major version or what cannot be read
 */
export function unpack<T> (bytes: Buffer, read: ReadFields<T>, isPart = false): T | null {
  if (bytes[0] !== MAJOR) return null
  try {
    const head = new ByteReader(bytes, 2)
    const numbersLength = head.varint()
    const numbersStart = head.skip(numbersLength)
    const textLength = head.varint()
    const deflatedLength = head.varint()
    const start = head.skip(deflatedLength)
    const deflated = bytes.subarray(start, start + deflatedLength)
    const numbers = new ByteReader(bytes, numbersStart, numbersStart + numbersLength)
    const raw = bytes.subarray(start + deflatedLength)
    const inflate = (needed: number): Buffer =>
      inflater.inflate(deflated, textLength, isPart ? needed : textLength)
    return read(numbers, new TextReader(numbers, inflate, raw), bytes)
  } catch {
    return null
  }
}
