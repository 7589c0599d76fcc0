// Keys for the ring, made here so that nobody invents one.
import { randomBytes } from 'node:crypto'
import type { CliContext, CliOptions } from './run.ts'

/**
 * `bulla keys generate`: prints a new key.
 *
 * @param context the process
 * @param options of the command line
 * @param words after `keys`
 * @returns the exit code
 */
export function keysCommand (context: CliContext, options: CliOptions, words: readonly string[]): number {
  if (words.length !== 1 || words[0] !== 'generate') {
    context.err('bulla: usage: bulla keys generate')
    return 2
  }
  const key = randomBytes(32).toString('base64url')
  context.out(options.json ? JSON.stringify({ key }) : key)
  return 0
}
