// The demo's other parties run in processes of their own; this starts them, and tells when one is gone.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

const START_MS = 20_000

type Message = { ready: Record<string, unknown> } | { failed: string }

/** A running child. */
export interface Child<Ready> {
  readonly name: string
  readonly ready: Ready
  /** Settles when the process has ended, for whatever reason. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

/**
 * Starts a file of the demo as a process and waits until it says that it is ready.
 * Options travel over the channel between the processes, since arguments are there for everybody to read.
 * @param file relative to this one, without extension
 */
export async function startChild<Ready> (name: string, file: string, options: object): Promise<Child<Ready>> {
  const extension = extname(fileURLToPath(import.meta.url))
  const child = fork(new URL(file + extension, import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const ended = once(child, 'exit').then(() => {})
  child.send(options)
  const abort = AbortSignal.timeout(START_MS)
  const said = once(child, 'message', { signal: abort }).then(([message]) => message as Message)
  const gone = ended.then((): Message => ({ failed: 'it ended before it was ready' }))
  const message = await Promise.race([said, gone]).catch((): Message => ({ failed: 'it did not get ready in time' }))
  if ('failed' in message) {
    await stop(child, ended)
    throw new Error(`${name} cannot start: ${message.failed}`)
  }
  return { name, ready: message.ready as Ready, ended, stop: () => stop(child, ended) }
}

async function stop (child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.connected) child.disconnect()
  const timer = setTimeout(() => child.kill('SIGKILL'), 3000)
  await ended
  clearTimeout(timer)
}

/** What a child is once it runs: `ready` is told to the parent. */
interface Running { readonly ready: object, close(): Promise<void> }

/**
 * The other side: starts what the parent asks for, and ends with the parent, even with one that crashed.
 * @param start gets the options of the parent
 */
export function runAsChild<Options> (start: (options: Options) => Promise<Running>): void {
  // Ctrl-C reaches the whole process group; the parent says when to stop.
  process.on('SIGINT', () => {})
  process.once('message', (options) => {
    start(options as Options).then(({ ready, close }) => {
      process.send?.({ ready })
      process.once('disconnect', () => { close().finally(() => process.exit(0)) })
    }, (error: Error) => {
      process.send?.({ failed: error.message }, () => process.exit(1))
    })
  })
}
