// Loads a target with wrk: small calls as fast as they go, or large bodies.
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CONNECTIONS, HEADERS, PATH } from './call.ts'
import { cookiesOf, cpuSeconds, folder, LARGE, pinned, type Target } from './targets.ts'

const run = promisify(execFile)

/** The connections of large bodies. */
export const STREAMS = 4

/** What one round of small calls found. */
export interface Result {
  readonly requests: number
  readonly rate: number
  readonly p50: number
  readonly p99: number
  /** Requests for each second of the target's processor time: what a busy machine disturbs least. */
  readonly perCpuSecond: number
}

/** What one round of large bodies found, in MB. */
export interface Flow {
  readonly rate: number
  readonly perCpuSecond: number
}

/** Which way large bodies go. */
export type Way = 'download' | 'upload'

const DONE = `
done = function (summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %f %f %f %d\\n", summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end`

/** How far each file of cookies was gone through, so that a round goes on where the last one ended. */
const turns = new Map<string, number>()

/** wrk takes the cookies in turn, so that each request can be another session's. */
export function writeScripts (): void {
  writeFileSync(join(folder, 'calls.lua'), `
local requests, count, index = {}, 0, 0
init = function (args)
  if args[1] == nil then requests[1] = wrk.format() count = 1 return end
  for line in io.lines(args[1]) do
    wrk.headers["Cookie"] = line
    count = count + 1
    requests[count] = wrk.format()
  end
  index = tonumber(args[2]) % count
end
request = function () index = index % count + 1 return requests[index] end${DONE}`)
  writeFileSync(join(folder, 'download.lua'), DONE)
  writeFileSync(join(folder, 'upload.lua'), `
init = function ()
  wrk.method, wrk.body = "POST", string.rep("x", ${LARGE})
  wrk.headers["Content-Type"] = "application/octet-stream"
end${DONE}`)
}

/** One request, which must be answered with 200. */
export async function check (target: Target, path = PATH): Promise<Response> {
  const [cookie = ''] = cookiesOf(target)
  const response = await fetch(`http://127.0.0.1:${target.port}${path}`, { headers: { ...HEADERS, cookie }, redirect: 'manual' })
  if (response.status !== 200) throw new Error(`${target.name}: ${path} answers ${response.status} ${await response.text()}`)
  return response
}

/** Small calls for that time. */
export async function measure (target: Target, seconds: number): Promise<Result> {
  const { cookies } = target
  const turn = turns.get(cookies ?? '') ?? 0
  const rest = cookies === null ? [] : [cookies, String(turn)]
  const { requests, duration, p50, p99, spent } = await wrk(target, 'calls', CONNECTIONS, seconds, PATH, [], rest)
  if (cookies !== null) turns.set(cookies, turn + requests)
  return { requests, rate: requests / duration, p50, p99, perCpuSecond: requests / spent }
}

/** Large bodies for that time, all in the first session. */
export async function flow (target: Target, way: Way, seconds: number): Promise<Flow> {
  const cookies = cookiesOf(target).slice(0, 1).map((cookie) => `Cookie: ${cookie}`)
  const path = way === 'download' ? '/api/large' : '/api/take'
  const { requests, duration, spent } = await wrk(target, way, STREAMS, seconds, path, cookies)
  const megabytes = requests * LARGE / 1e6
  return { rate: megabytes / duration, perCpuSecond: megabytes / spent }
}

interface Run {
  readonly requests: number
  readonly duration: number
  readonly p50: number
  readonly p99: number
  /** Processor time of the target. */
  readonly spent: number
}

/** @param rest - what the script gets */
async function wrk (
  target: Target, script: string, connections: number, seconds: number, path: string,
  more: readonly string[] = [], rest: readonly string[] = []
): Promise<Run> {
  await target.prepare?.()
  const headers = [...Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}`), ...more].flatMap((header) => ['-H', header])
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', join(folder, `${script}.lua`), ...headers,
    `http://127.0.0.1:${target.port}${path}`]
  const before = cpuSeconds(target.process)
  const { stdout, stderr } = await run(...pinned(1, 'wrk', [...args, '--', ...rest]))
  const spent = cpuSeconds(target.process) - before
  const match = /RESULT (.+)/.exec(stdout)
  if (match === null) throw new Error(`wrk: ${stdout}${stderr}`)
  const [requests = 0, duration = 0, p50 = 0, p99 = 0, errors = 0] = (match[1] as string).split(' ').map(Number)
  if (errors > 0) throw new Error(`${target.name}: ${errors} of ${requests} requests failed`)
  if (requests === 0) throw new Error(`${target.name}: not one request was answered in ${seconds} s`)
  return { requests, duration, p50, p99, spent }
}
