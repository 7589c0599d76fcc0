// Offers requests at a fixed rate, whatever the answers do, and measures each from its scheduled time:
// `node paced-load.js <port> <requests a second> <seconds> <Cookie headers, JSON>`.
import { connect, type Socket } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { CONNECTIONS, HEADERS, PATH } from './call.ts'

/** What came of it, in milliseconds. */
export interface Latency {
  readonly p50: number
  readonly p99: number
}

/** Seconds at the beginning that do not count: this process has yet to get warm. */
const WARM_UP = 0.5

/** Timers of the event loop keep milliseconds only; a thread that sleeps is on time. */
function tick (rate: number): void {
  const nothing = new Int32Array(new SharedArrayBuffer(4))
  const start = performance.now()
  for (let count = 1; ; count++) {
    const wait = start + count * 1000 / rate - performance.now()
    if (wait > 0) Atomics.wait(nothing, 0, 0, wait)
    parentPort?.postMessage(null)
  }
}

async function load (): Promise<void> {
  const [port = 0, rate = 0, seconds = 0] = process.argv.slice(2, 5).map(Number)
  const cookies = JSON.parse(process.argv[5] ?? '[]') as string[]
  const requests = (cookies.length === 0 ? [null] : cookies).map((cookie) => requestText(port, cookie))
  const warmUp = Math.ceil(WARM_UP * rate)
  const total = warmUp + Math.ceil(seconds * rate)
  const latencies: number[] = []
  const opening = Array.from({ length: CONNECTIONS }, async () => await Connection.open(port))
  const idle = await Promise.all(opening)
  let [sent, answered] = [0, 0]
  const start = performance.now()
  const scheduled = (index: number): number => start + index * 1000 / rate
  const ticker = new Worker(new URL(import.meta.url), { workerData: rate })
  await new Promise<void>((resolve) => {
    const sendDue = (): void => {
      const now = performance.now()
      for (; sent < total && scheduled(sent) <= now; sent++) {
        const connection = idle.pop()
        if (connection === undefined) return // the next answer comes back here
        const index = sent
        connection.send(requests[index % requests.length] as string, () => {
          if (index >= warmUp) latencies.push(performance.now() - scheduled(index))
          idle.push(connection)
          if (++answered === total) resolve()
          else sendDue()
        })
      }
    }
    ticker.on('message', sendDue)
  })
  latencies.sort((a, b) => a - b)
  const last = latencies.length - 1
  const quantile = (part: number): number => latencies[Math.floor(last * part)] ?? Number.NaN
  const latency: Latency = { p50: quantile(0.5), p99: quantile(0.99) }
  process.send?.(latency, () => process.exit())
}

function requestText (port: number, cookie: string | null): string {
  const headers = { Host: `127.0.0.1:${port}`, ...HEADERS, ...(cookie === null ? {} : { Cookie: cookie }) }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `GET ${PATH} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** Keeps alive, and reads just enough of HTTP to see where an answer ends. */
class Connection {
  readonly #socket: Socket
  #received = ''
  #done: (() => void) | null = null

  private constructor (socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true).setEncoding('latin1')
    socket.on('data', (piece: string) => { this.#read(piece) })
    socket.on('close', () => { throw new Error('the target closed a connection') })
  }

  static async open (port: number): Promise<Connection> {
    return await new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => { resolve(new Connection(socket)) }).once('error', reject)
    })
  }

  send (request: string, done: () => void): void {
    this.#received = ''
    this.#done = done
    this.#socket.write(request, 'latin1')
  }

  #read (piece: string): void {
    this.#received += piece
    const end = this.#received.indexOf('\r\n\r\n')
    if (end === -1) return
    const match = /^HTTP\/1\.1 200 .*\r\ncontent-length: (\d+)\r\n/is.exec(this.#received)
    if (match === null) throw new Error(`not an answer that was wanted: ${this.#received.slice(0, end)}`)
    if (this.#received.length < end + 4 + Number(match[1])) return
    const done = this.#done
    this.#done = null
    done?.()
  }
}

if (isMainThread) await load()
else tick(Number(workerData))
