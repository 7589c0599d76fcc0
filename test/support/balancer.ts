// Runs the balancer examples of deploy/ as they are, but for addresses: nginx and HAProxy in front of real
// replicas.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, type Teardown } from './build.ts'
import { fromRoot } from './root.ts'

const PROGRAMS = { nginx: '/usr/sbin/nginx', haproxy: '/usr/sbin/haproxy' } as const

export type BalancerName = keyof typeof PROGRAMS

/**
 * Whether the balancer's program is missing, and why that is no failure; `false` if the test must run.
 * `BULLA_REQUIRE_BALANCERS=1` makes it run, and so fail.
 */
export function missing (name: BalancerName): string | false {
  if (existsSync(PROGRAMS[name]) || process.env.BULLA_REQUIRE_BALANCERS === '1') return false
  return `${PROGRAMS[name]} is not installed (BULLA_REQUIRE_BALANCERS=1 makes this a failure)`
}

/**
 * Starts a balancer by the example of `deploy/`.
 *
 * @param t ends it
 * @param name which
 * @param urls the replicas: three
 * @returns where it listens
 */
export async function startBalancer (
  t: Teardown, name: BalancerName, urls: readonly string[]
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), `bulla-${name}-`))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  const port = await freePort()
  let text = readFileSync(fromRoot('deploy', name, FILES[name]), 'utf8')
  text = text.replace('127.0.0.1:8080', `127.0.0.1:${port}`).replaceAll('__Host-Http-bulla-route)', 'bulla-route)')
  for (const [index, url] of urls.entries()) text = text.replace(`127.0.0.1:300${index + 1}`, new URL(url).host)
  const file = join(folder, FILES[name])
  writeFileSync(file, name === 'nginx' ? inFolder(text, folder) : text)
  const args = name === 'nginx' ? ['-p', folder, '-c', file, '-e', 'stderr'] : ['-db', '-f', file]
  const child = spawn(PROGRAMS[name], args, { stdio: ['ignore', 'ignore', 'inherit'] })
  t.teardown(async () => await stop(child))
  await answering(`http://127.0.0.1:${port}/bff/health`)
  return `http://127.0.0.1:${port}`
}

const FILES: Readonly<Record<BalancerName, string>> = { nginx: 'nginx.conf', haproxy: 'haproxy.cfg' }

/** nginx keeps its files here instead of in the system's folders, and stays in the foreground. */
function inFolder (text: string, folder: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${join(folder, kind)};`)
  const http = ['http {', '  access_log off;', ...paths].join('\n')
  return `daemon off;\npid ${join(folder, 'nginx.pid')};\n${text.replace('http {', http)}`
}

/** Ends a process, and waits until it is gone. */
export async function stop (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
}

/** Waits until something answers 200. */
export async function answering (url: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const status = await fetch(url).then((answer) => answer.status, () => 0)
    if (status === 200) return
    await sleep(50)
  }
  throw new Error(`${url} does not answer`)
}
