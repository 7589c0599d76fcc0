// `bulla keys`: makes keys, shows a ring without its secrets, and leads through its rotation.
import { randomBytes } from 'node:crypto'
import { ConfigError } from '../config/load.ts'
import { kidOf } from '../session/keyring.ts'
import { findRing, writeRing, type FoundRing, type RingEntry } from './key-file.ts'
import type { CliContext, CliOptions } from './run.ts'

const USAGE = 'bulla: usage: bulla keys generate | list | rotate --stage publish|activate|retire'

/** A key as the commands show it. */
interface ShownKey {
  readonly kid: string
  readonly position: number
  readonly use: 'seals and opens' | 'opens'
  readonly note: string
}

/**
 * `bulla keys …`.
 *
 * @param context the process
 * @param options of the command line
 * @param words after `keys`
 * @returns the exit code
 * @throws {ConfigError} if there is no ring, or if a step does not follow from it
 */
export function keysCommand (context: CliContext, options: CliOptions, words: readonly string[]): number {
  const [command, ...rest] = words
  if (rest.length === 0 && command === 'generate') return generate(context, options)
  if (rest.length === 0 && command === 'list') return list(context, options)
  if (rest.length === 0 && command === 'rotate' && options.stage !== undefined) {
    return rotate(context, options, options.stage)
  }
  context.err(USAGE)
  return 2
}

function newKey (): string {
  return randomBytes(32).toString('base64url')
}

function generate (context: CliContext, options: CliOptions): number {
  const key = newKey()
  const next = 'Give it to every replica, as BULLA_KEYS or as a line of the file that BULLA_KEYS_FILE names.'
  if (options.json) {
    context.out(JSON.stringify({ key, kid: kidOf(key), next }))
    return 0
  }
  context.out(key)
  context.err(`This is key ${kidOf(key)}. ${next}`)
  return 0
}

function list (context: CliContext, options: CliOptions): number {
  const found = findRing(context, options)
  show(context, options, found.entries, {}, found.entries.length === 1
    ? 'To rotate: bulla keys rotate --stage publish'
    : 'A key that seals nothing any more can go once session.max_age has passed: bulla keys rotate --stage retire')
  return 0
}

function rotate (context: CliContext, options: CliOptions, stage: string): number {
  const step = STEPS[stage]
  if (step === undefined) {
    context.err(USAGE)
    return 2
  }
  const found = findRing(context, options)
  const entries = step.change(found, new Date().toISOString())
  const keys = entries.map(({ key }) => key).join(',')
  if (found.file !== null) writeRing(found.file, entries)
  const where = found.file === null ? 'Set BULLA_KEYS to the value above on every replica. ' : ''
  show(context, options, entries, found.file === null ? { BULLA_KEYS: keys } : {}, where + step.next)
  return 0
}

/** One step of a rotation: what it makes of a ring, and what comes after it. */
interface Step { readonly next: string, change (found: FoundRing, now: string): RingEntry[] }

const STEPS: Readonly<Record<string, Step>> = {
  publish: {
    next: 'When every replica lists the new key (readyz, or the log), go on: bulla keys rotate --stage activate',
    change: ({ entries }, now) => {
      if (entries.some(({ note }) => note.startsWith('published'))) {
        throw new ConfigError(['A key is published already: the next step is bulla keys rotate --stage activate.'])
      }
      return [...entries, { key: newKey(), note: `published ${now}` }]
    }
  },
  activate: {
    next: 'When session.max_age has passed, all sessions are sealed with the new key: bulla keys rotate --stage retire',
    change: (found, now) => {
      const { newest, others } = last(found, 'published', 'publish')
      const [sealing, ...older] = others
      return [
        { key: newest.key, note: `active ${now}` },
        ...(sealing === undefined ? [] : [...older, { key: sealing.key, note: `opening since ${now}` }])
      ]
    }
  },
  retire: {
    next: 'The rotation is over.',
    change: (found) => last(found, 'opening since', 'activate').others
  }
}

/** The last key, which must be at the stage before; keys without notes are taken as they stand. */
function last (
  { entries }: FoundRing, note: string, before: string
): { newest: RingEntry, others: RingEntry[] } {
  const newest = entries.at(-1)
  if (newest === undefined || entries.length < 2) {
    throw new ConfigError([`There is only one key: the step before is bulla keys rotate --stage ${before}.`])
  }
  if (newest.note !== '' && !newest.note.startsWith(note)) {
    const step = `bulla keys rotate --stage ${before}`
    throw new ConfigError([`Key ${kidOf(newest.key)} is "${newest.note}": the step before is ${step}.`])
  }
  return { newest, others: entries.slice(0, -1) }
}

function show (
  context: CliContext,
  options: CliOptions,
  entries: readonly RingEntry[],
  extra: Readonly<Record<string, string>>,
  next: string
): void {
  const keys = entries.map(({ key, note }, index): ShownKey => ({
    kid: kidOf(key), position: index + 1, use: index === 0 ? 'seals and opens' : 'opens', note
  }))
  if (options.json) {
    context.out(JSON.stringify({ keys, ...extra, next }))
    return
  }
  for (const { kid, position, use, note } of keys) {
    context.out(`${position}  ${kid}  ${use}${note === '' ? '' : `  (${note})`}`)
  }
  for (const [name, value] of Object.entries(extra)) context.out(`${name}=${value}`)
  context.err(next)
}
