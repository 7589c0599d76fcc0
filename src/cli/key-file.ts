// Where the commands find the key ring, and how they write a keys file: whole, at once, for its owner only.
import { closeSync, fsyncSync, openSync, readFileSync, realpathSync, renameSync, rmSync, writeSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { ConfigError } from '../config/load.ts'
import { parseKeys, ringFaults } from '../lib/ring-key.ts'
import type { CliContext, CliOptions } from './run.ts'

/** A ring key as it stands in a keys file. */
export interface RingEntry {
  readonly key: string
  /** The comment behind it, by which `bulla keys rotate` knows what it did. */
  readonly note: string
}

/** A ring and where it comes from. */
export interface FoundRing {
  readonly entries: readonly RingEntry[]
  /** The keys file; `null` if the keys stand in the environment or in the configuration file. */
  readonly file: string | null
}

/**
 * Finds the ring where the server would find it, without asking for the rest of the configuration.
 *
 * @param context the process
 * @param options of the command line
 * @throws {ConfigError} if there is none, or if it cannot be used
 */
export function findRing (context: CliContext, options: CliOptions): FoundRing {
  const { env } = context
  const settings = readSettings(options.config ?? env.BULLA_CONFIG)
  const file = env.BULLA_KEYS_FILE ?? settings.keys_file
  const written = env.BULLA_KEYS ?? settings.keys
  if (written !== undefined && written !== '') return check({ entries: withoutNotes(written), file: null })
  if (typeof file !== 'string' || file === '') {
    throw new ConfigError(['keys is required: set BULLA_KEYS or BULLA_KEYS_FILE, or name the configuration with --config.'])
  }
  return check({ entries: readEntries(file), file })
}

function check (found: FoundRing): FoundRing {
  const faults = ringFaults(found.entries.map(({ key }) => key))
  if (faults.length > 0) throw new ConfigError(faults.map((fault) => `keys: ${fault}.`))
  return found
}

function readSettings (file: string | undefined): Record<string, unknown> {
  if (file === undefined || file === '') return {}
  try {
    return Object(parseYaml(readFileSync(file, 'utf8'))) as Record<string, unknown>
  } catch (error) {
    throw new ConfigError([`The configuration file ${file} cannot be read: ${codeOf(error)}.`])
  }
}

function withoutNotes (written: unknown): RingEntry[] {
  const keys = Array.isArray(written) ? written.map(String) : parseKeys(String(written))
  return keys.map((key) => ({ key, note: '' }))
}

function readEntries (file: string): RingEntry[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError([`keys_file cannot be read: ${codeOf(error)}.`])
  }
  return text.split('\n').flatMap((line) => {
    const [words = '', note = ''] = line.split('#', 2)
    return parseKeys(words).map((key) => ({ key, note: note.trim() }))
  })
}

/**
 * Writes a keys file: beside the old one, flushed, then renamed over it, so that no reader sees half of it.
 *
 * @param file its path; a link is followed
 * @param entries the ring
 * @throws {ConfigError} if the folder cannot be written to
 */
export function writeRing (file: string, entries: readonly RingEntry[]): void {
  const lines = entries.map(({ key, note }) => note === '' ? key : `${key} # ${note}`)
  let draft: string | undefined
  try {
    const target = realpathSync(file)
    draft = `${target}.${process.pid}.new`
    const handle = openSync(draft, 'wx', 0o600)
    try {
      writeSync(handle, `${lines.join('\n')}\n`)
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    renameSync(draft, target)
  } catch (error) {
    if (draft !== undefined && codeOf(error) !== 'EEXIST') rmSync(draft, { force: true })
    throw new ConfigError([`keys_file cannot be written: ${codeOf(error)}. Nothing was changed.`])
  }
}

function codeOf (error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).name
}
