// Starts the upstream and the proxies that the throughput bench measures, each on its core, and ends them.
import { fork, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { someKey } from './bulla.ts'

/** What the upstream answers to a small call. */
export const BODY = JSON.stringify({ orders: Array.from({ length: 10 }, (_, id) => ({ id, item: 'copper ingot', kilograms: 12.5, grade: 'fine' })) })

/** The bytes of a large body, up or down. A smoke run's are small, or none might pass within its second. */
export const LARGE = (process.argv.includes('--smoke') ? 1 : 10) * 1024 * 1024

/** One proxy that runs. */
export interface Target {
  readonly name: string
  readonly port: number
  /** The file with one `Cookie` header a line, a session each. */
  readonly cookies: string | null
  /** How many lines it has, or 0. */
  readonly sessions: number
  readonly process: ChildProcess
  /** What must happen before each measurement. */
  readonly prepare?: () => Promise<void>
}

/** For configuration, sockets and cookies; removed at the end. */
export const folder = mkdtempSync(join(tmpdir(), 'bulla-bench-'))
chmodSync(folder, 0o755) // the workers of nginx and Apache are other users

const children: ChildProcess[] = []

/** Whether there is such a program. */
export function has (command: string): boolean {
  return spawnSync('which', [command]).status === 0
}

/** A core for what is measured, and another one for upstream and load, where the machine has them. */
export function pinned (core: 0 | 1, command: string, args: readonly string[]): [string, string[]] {
  return has('taskset') ? ['taskset', ['-c', String(core), command, ...args]] : [command, [...args]]
}

/** Starts a program that `endAll` ends. */
export function launch (core: 0 | 1, command: string, args: readonly string[]): ChildProcess {
  const child = spawn(...pinned(core, command, args), { stdio: 'ignore' })
  children.push(child)
  return child
}

/** Starts one of the bench's own scripts; its first message comes back. */
export async function launchScript<T> (
  core: 0 | 1, script: string, args: readonly string[]
): Promise<{ child: ChildProcess, message: T }> {
  const [command, execArgv] = pinned(core, process.execPath, [])
  const path = new URL(script, import.meta.url).pathname
  const child = fork(path, args, { execPath: command, execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  children.push(child)
  const message = await new Promise<T>((resolve, reject) => {
    child.once('message', resolve as (message: unknown) => void)
    child.once('exit', () => { reject(new Error(`${script} ${args[0] ?? ''} ended without a word`)) })
  })
  return { child, message }
}

/** Ends all that was started, and removes the folder. */
export async function endAll (): Promise<void> {
  const running = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
  await Promise.all(running.map(async (child) => {
    const late = setTimeout(() => { child.kill('SIGKILL') }, 5000)
    await new Promise((resolve) => {
      child.once('exit', resolve)
      child.kill('SIGTERM')
    })
    clearTimeout(late)
  }))
  rmSync(folder, { recursive: true, force: true })
}

/** A port of the loopback interface that nobody listens on. */
export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => { server.once('listening', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => { server.close(resolve) })
  return port
}

/** Waits until somebody answers. */
export async function answering (port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      await (await fetch(`http://127.0.0.1:${port}/`, { redirect: 'manual' })).arrayBuffer()
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  throw new Error(`nobody answers on port ${port}`)
}

/** The cookies of a target's first sessions. */
export function cookiesOf ({ cookies }: Pick<Target, 'cookies'>): string[] {
  return cookies === null ? [] : readFileSync(cookies, 'utf8').trimEnd().split('\n')
}

/** User and system time so far of a process and its children, in one of which nginx works. */
export function cpuSeconds ({ pid }: Pick<ChildProcess, 'pid'>): number {
  if (!existsSync(`/proc/${pid}/stat`)) return Number.NaN
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').match(/\d+/g) ?? []
  const own = (Number(fields[11]) + Number(fields[12])) / 100
  return children.reduce((sum, child) => sum + cpuSeconds({ pid: Number(child) }), own)
}

async function nginx (
  name: string, core: 0 | 1, port: number, server: string, http = ''
): Promise<ChildProcess> {
  const file = join(folder, `${name}.conf`)
  // Connections outlive the warming up of all targets: one closed meanwhile would be an error of theirs.
  writeFileSync(file, `daemon off; worker_processes 1; pid ${folder}/${name}.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 600s; client_max_body_size 100m;
client_body_temp_path ${folder}/${name}-body; proxy_temp_path ${folder}/${name}-proxy;
${http} server { listen 127.0.0.1:${port}; ${server} } }`)
  const child = launch(core, 'nginx', ['-p', folder, '-c', file])
  await answering(port)
  return child
}

/** Small answers everywhere; `/api/large` is a large one, `/api/take` answers once it has all of the body. */
export async function startUpstream (): Promise<string> {
  const port = await freePort()
  mkdirSync(join(folder, 'www/api'), { recursive: true })
  writeFileSync(join(folder, 'www/api/large'), Buffer.alloc(LARGE, 'x'))
  // What proxies (here to itself) reads the body first, into memory; a bare `return` would answer before.
  await nginx('upstream', 1, port, `default_type application/json;
location / { return 200 '${BODY}'; }
location = /api/large { root ${folder}/www; }
location = /api/take { client_body_buffer_size 16m; proxy_pass_request_body off; proxy_set_header Content-Length "";
  proxy_pass http://127.0.0.1:${port}/taken; }`)
  return `http://127.0.0.1:${port}`
}

/** What a proxy costs that does nothing else; bodies pass through as they come, as in the others. */
export async function startNginx (upstream: string): Promise<Target> {
  const port = await freePort()
  const child = await nginx('proxy', 0, port, `location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection "";
  proxy_request_buffering off; proxy_max_temp_file_size 0; }`,
  `upstream api { server ${new URL(upstream).host}; keepalive 256; keepalive_requests 100000000; }`)
  return { name: 'nginx, bare', port, cookies: null, sessions: 0, process: child }
}

/** One of the kinds of target.ts; `sessions` are Bulla's, the others have one at most. */
export async function startTarget (
  kind: string, upstream: string, sessions: number, name = kind
): Promise<Target> {
  const own = mkdtempSync(join(folder, `${kind}-`))
  const cookies = kind === 'bulla' || kind === 'express' ? join(own, `${kind}.cookies`) : null
  const key = someKey()
  if (kind === 'bulla') await launchScript(1, './seal-sessions.js', [String(sessions), key, cookies as string])
  const { child, message } = await launchScript<{ port: number }>(0, './target.js', [kind, upstream, key, own])
  return { name, port: message.port, cookies, sessions: cookies === null ? 0 : sessions, process: child }
}
