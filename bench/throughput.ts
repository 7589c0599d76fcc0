// Requests a second through each proxy, interleaved in one run: `npm run bench:throughput [-- --smoke]`.
import { spawn, spawnSync, fork, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median } from './statistics.ts'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = numberOf('rounds', isSmoke ? 3 : 7)
const SECONDS = numberOf('seconds', isSmoke ? 1 : 3)
const SESSIONS = isSmoke ? 500 : 50_000
const CONNECTIONS = 64
const BODY = JSON.stringify({ orders: Array.from({ length: 10 }, (_, id) => ({ id, item: 'copper ingot', kilograms: 12.5, grade: 'fine' })) })

interface Target {
  readonly name: string
  readonly port: number
  readonly cookies: string | null
  readonly process: ChildProcess
}
interface Result {
  readonly rate: number
  readonly p50: number
  readonly p99: number
  /** Requests for each second of the target's processor time: what a busy machine disturbs least. */
  readonly perCpuSecond: number
}

const folder = mkdtempSync(join(tmpdir(), 'bulla-bench-'))
const children: ChildProcess[] = []

try {
  if (!has('wrk') || !has('nginx')) throw new Error('this bench needs wrk and nginx')
  writeScript()
  const upstream = await startUpstream()
  const targets = [
    await startNginx(upstream),
    await startTarget('http-proxy', upstream, 1),
    await startTarget('undici', upstream, 1),
    await startTarget('bulla', upstream, 8, 'bulla, few sessions'),
    await startTarget('bulla', upstream, SESSIONS, `bulla, ${SESSIONS} sessions`),
    await startTarget('express', upstream, 1)
  ]
  const results = new Map(targets.map(({ name }) => [name, [] as Result[]]))
  for (const target of targets) measure(target, isSmoke ? 1 : 4)
  for (let round = 0; round < ROUNDS; round++) {
    for (const target of targets) results.get(target.name)?.push(measure(target, SECONDS))
    process.stderr.write(`round ${round + 1} of ${ROUNDS}\n`)
  }
  report(results)
} finally {
  for (const child of children) child.kill('SIGTERM')
  rmSync(folder, { recursive: true, force: true })
}

/** `--rounds=4`, `--seconds=2`. */
function numberOf (name: string, usual: number): number {
  const given = process.argv.find((argument) => argument.startsWith(`--${name}=`))
  return given === undefined ? usual : Number(given.split('=')[1])
}

function has (command: string): boolean {
  return spawnSync('which', [command]).status === 0
}

/** A core for what is measured, and another one for upstream and load, where the machine has them. */
function pinned (core: 0 | 1, command: string, args: readonly string[]): [string, string[]] {
  return has('taskset') ? ['taskset', ['-c', String(core), command, ...args]] : [command, [...args]]
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => { server.once('listening', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => { server.close(resolve) })
  return port
}

function nginx (name: string, core: 0 | 1, server: string, http = ''): void {
  const file = join(folder, `${name}.conf`)
  writeFileSync(file, `daemon off; worker_processes 1; pid ${folder}/${name}.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path ${folder}; proxy_temp_path ${folder}; ${http} server { ${server} } }`)
  children.push(spawn(...pinned(core, 'nginx', ['-p', folder, '-c', file]), { stdio: 'ignore' }))
}

async function startUpstream (): Promise<string> {
  const port = await freePort()
  nginx('upstream', 1, `listen 127.0.0.1:${port}; default_type application/json; location / { return 200 '${BODY}'; }`)
  return `http://127.0.0.1:${port}`
}

async function startNginx (upstream: string): Promise<Target> {
  const port = await freePort()
  const location = 'proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection "";'
  nginx('proxy', 0, `listen 127.0.0.1:${port}; location / { ${location} }`,
    `upstream api { server ${new URL(upstream).host}; keepalive 256; keepalive_requests 100000000; }`)
  await new Promise((resolve) => setTimeout(resolve, 500))
  return { name: 'nginx, bare', port, cookies: null, process: children.at(-1) as ChildProcess }
}

async function startTarget (kind: string, upstream: string, sessions: number, name = kind): Promise<Target> {
  const own = mkdtempSync(join(folder, `${kind}-`))
  const script = new URL('./target.js', import.meta.url).pathname
  const [command, args] = pinned(0, process.execPath, [])
  const child = fork(script, [kind, upstream, String(sessions), own], { execPath: command, execArgv: args, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  children.push(child)
  const { port } = await new Promise<{ port: number }>((resolve, reject) => {
    child.once('message', resolve as (message: unknown) => void)
    child.once('exit', () => { reject(new Error(`${kind} did not start`)) })
  })
  const cookies = kind === 'bulla' || kind === 'express' ? join(own, `${kind}.cookies`) : null
  return { name, port, cookies, process: child }
}

/** wrk takes the cookies in turn, so that each request can be another session's. */
function writeScript (): void {
  writeFileSync(join(folder, 'load.lua'), `
local requests, count, index = {}, 0, 0
init = function (args)
  local headers = { ["X-CSRF"] = "1", ["Accept"] = "application/json", ["Sec-Fetch-Site"] = "same-origin", ["Sec-Fetch-Mode"] = "cors",
    ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ["Accept-Language"] = "en", ["Referer"] = "http://localhost:3000/orders" }
  if args[1] == nil then requests[1] = wrk.format("GET", "/api/orders?limit=10", headers) count = 1 return end
  for line in io.lines(args[1]) do
    headers["Cookie"] = line
    count = count + 1
    requests[count] = wrk.format("GET", "/api/orders?limit=10", headers)
  end
end
request = function () index = index % count + 1 return requests[index] end
done = function (summary, latency)
  io.write(string.format("REQUESTS %d\\n", summary.requests))
  io.write(string.format("RESULT %f %f %f %d\\n", summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status))
end`)
}

function measure (target: Target, seconds: number): Result {
  const wrk = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '-s', join(folder, 'load.lua'), `http://127.0.0.1:${target.port}`]
  const before = cpuSeconds(target.process)
  const run = spawnSync(...pinned(1, 'wrk', target.cookies === null ? wrk : [...wrk, '--', target.cookies]), { encoding: 'utf8' })
  const match = /RESULT (\S+) (\S+) (\S+) (\d+)/.exec(run.stdout)
  if (match === null) throw new Error(`wrk: ${run.stdout}${run.stderr}`)
  const [rate = 0, p50 = 0, p99 = 0, errors = 0] = match.slice(1).map(Number)
  if (errors > 0) throw new Error(`${target.name}: ${errors} requests failed`)
  const spent = cpuSeconds(target.process) - before
  return { rate, p50, p99, perCpuSecond: Number(/REQUESTS (\d+)/.exec(run.stdout)?.[1]) / spent }
}

/** User and system time so far of a process and its children, in one of which nginx works. */
function cpuSeconds ({ pid }: Pick<ChildProcess, 'pid'>): number {
  if (!existsSync(`/proc/${pid}/stat`)) return Number.NaN
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').match(/\d+/g) ?? []
  const own = (Number(fields[11]) + Number(fields[12])) / 100
  return children.reduce((sum, child) => sum + cpuSeconds({ pid: Number(child) }), own)
}

function report (results: ReadonlyMap<string, readonly Result[]>): void {
  const base = results.get('http-proxy') ?? []
  console.log(`\n${ROUNDS} rounds of ${SECONDS} s, ${CONNECTIONS} connections, ${BODY.length} bytes of body; one core for the proxy\n`)
  console.log('| Target | requests/s | p50 ms | p99 ms | × bare http-proxy | requests per CPU second | × bare |\n| --- | --- | --- | --- | --- | --- | --- |')
  for (const [name, rounds] of results) {
    const column = (pick: (result: Result) => number): number => median(rounds.map(pick))
    console.log(`| ${name} | ${column(({ rate }) => rate).toFixed(0)} | ${column(({ p50 }) => p50).toFixed(1)} | ` +
      `${column(({ p99 }) => p99).toFixed(1)} | ${ratio(rounds, base).toFixed(2)} | ` +
      `${column(({ perCpuSecond }) => perCpuSecond).toFixed(0)} | ${cpuRatio(rounds, base).toFixed(2)} |`)
  }
  const few = results.get('bulla, few sessions') ?? []
  const many = results.get(`bulla, ${SESSIONS} sessions`) ?? []
  const express = results.get('express') ?? []
  console.log('\n| Target of product.md | wanted | requests/s | per CPU second | |\n| --- | --- | --- | --- | --- |')
  const row = (name: string, wanted: number, ours: readonly Result[], theirs: readonly Result[]): void => {
    const measured = ratio(ours, theirs)
    const verdict = measured >= wanted ? 'holds' : 'falls short'
    console.log(`| ${name} | ≥ ${wanted} | ${measured.toFixed(2)} | ${cpuRatio(ours, theirs).toFixed(2)} | ${verdict} |`)
  }
  row('few sessions against bare http-proxy', 1.7, few, base)
  row(`${SESSIONS} sessions against bare http-proxy`, 1.4, many, base)
  row('against express-openid-connect + http-proxy-middleware', 6, few, express)
  console.log('\nmod_auth_openidc is measured only where Apache and the module are installed; this run did not measure it.')
}

/** The median of the ratios of each round: what slows the machine down slows both. */
function ratio (rounds: readonly Result[], base: readonly Result[]): number {
  return median(rounds.map(({ rate }, index) => rate / (base[index]?.rate ?? Number.NaN)))
}

function cpuRatio (rounds: readonly Result[], base: readonly Result[]): number {
  const of = (index: number): number => base[index]?.perCpuSecond ?? Number.NaN
  return median(rounds.map(({ perCpuSecond }, index) => perCpuSecond / of(index)))
}
