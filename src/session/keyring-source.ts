// The key ring as it is now: fixed, or read again from its file, where a broken file changes nothing.
import { readFile } from 'node:fs/promises'
import { parseKeys, ringFaults } from '../lib/ring-key.ts'
import { createKeyring, type Binding, type Keyring } from './keyring.ts'

/** Where news of the ring goes. */
export interface KeyringLog {
  info (fields: object, message: string): void
  error (fields: object, message: string): void
}

/** Gives the ring. */
export interface KeyringSource {
  current (): Keyring
  /** Looks at the file. New content counts when it was seen twice running: a half-written file never does. */
  poll (): Promise<void>
  close (): void
}

/** What the source needs. */
export interface KeyringSourceOptions {
  /** The ring to begin with, checked before. */
  readonly keys: readonly string[]
  /** The file that it was read from, if it was. */
  readonly file?: string | undefined
  readonly binding: Binding
  readonly log: KeyringLog
  /** Milliseconds between two looks at the file. Default: 500, so that a change is in force within 2 s. */
  readonly interval?: number
}

const INTERVAL = 500

/** After how many looks at a file that stays broken the log hears of it again. */
const REPEAT = 120

/** Milliseconds that reading may take. */
const READ_TIMEOUT = 2000

/**
 * Creates the source. The file is read by its path each time, so that links which are swapped (as Kubernetes
 * does with mounted secrets) count, and compared by content.
 *
 * @param options what it needs
 */
export function createKeyringSource (options: KeyringSourceOptions): KeyringSource {
  const { file, binding, log, interval = INTERVAL } = options
  let keys = options.keys
  let ring = createKeyring(keys, binding)
  let seen: string | null = null
  let fault = ''
  let looks = 0
  let isReading = false

  async function poll (): Promise<void> {
    if (file === undefined || isReading) return
    isReading = true
    try {
      const text = await readFile(file, { encoding: 'utf8', signal: AbortSignal.timeout(READ_TIMEOUT) })
      if (text === seen) take(parseKeys(text))
      seen = text
    } catch (error) {
      seen = null
      shout(`it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`)
    } finally {
      isReading = false
    }
  }

  function take (next: readonly string[]): void {
    const faults = ringFaults(next)
    if (faults.length > 0) {
      shout(faults.join('; '))
      return
    }
    fault = ''
    if (next.join() === keys.join()) return
    ring = createKeyring(next, binding)
    keys = next
    log.info({ keys: ring.kids }, 'the key ring has changed')
  }

  /** Says what is wrong when it goes wrong, and again as long as it stays so; never what the file holds. */
  function shout (what: string): void {
    looks = what === fault ? looks + 1 : 0
    fault = what
    if (looks % REPEAT === 0) log.error({ fault }, 'keys_file cannot be used: the last good key ring stays in force')
  }

  const timer = file === undefined ? undefined : setInterval(poll, interval)
  timer?.unref()
  return { current: () => ring, poll, close: () => { clearInterval(timer) } }
}
