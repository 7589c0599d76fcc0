// Requests without a body end quietly for who does not read them, and as ever for who does.
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { QuietRequest } from '../../src/lib/quiet-request.ts'
import type { Teardown } from '../support/build.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

interface Stage {
  readonly socket: Socket
  /** Waits for so many answers in all. */
  readonly answers: (count: number) => Promise<void>
}

/** A server that hands each request to the handler, and a connection to it. */
async function stage (t: Teardown, handler: Handler): Promise<Stage> {
  const server = createServer({ IncomingMessage: QuietRequest }, handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(async () => {
    socket.destroy()
    server.close()
    await once(server, 'close')
  })
  let received = ''
  socket.on('data', (chunk: Buffer) => { received += chunk.toString() })
  return {
    socket,
    answers: async (count) => { while (received.split('HTTP/1.1 200').length <= count) await once(socket, 'data') }
  }
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

t.test('nobody reads: no end is played through, and the connection goes on', async (t) => {
  const requests: IncomingMessage[] = []
  const { socket, answers } = await stage(t, (request, response) => {
    requests.push(request)
    response.end()
  })
  for (let count = 1; count <= 3; count++) {
    socket.write(GET)
    await answers(count)
  }
  socket.write(GET + GET)
  await answers(5)
  t.equal(requests.length, 5)
  for (const request of requests) {
    t.equal(request.complete, true)
    t.equal(request.readableEnded, true, 'whoever asks is told that it has ended')
    t.equal(request.destroyed, false)
  }
})

t.test('whoever reads or listens hears the end, before the answer and after it', async (t) => {
  const heard: string[] = []
  const { socket, answers } = await stage(t, (request, response) => {
    const { url } = request
    if (url === '/consume') {
      text(request).then((body) => { response.end(body) }, () => { response.destroy() })
      return
    }
    if (url === '/late') {
      // Reads once the request has come whole, and nobody has read.
      setImmediate(() => { request.resume().on('end', () => { response.end() }) })
      return
    }
    request.on(url === '/close' ? 'close' : 'end', () => { heard.push(url ?? '') })
    response.end()
  })
  let count = 0
  for (const path of ['/consume', '/late', '/end', '/close']) {
    socket.write(GET.replace('/', path))
    await answers(++count)
  }
  socket.write(GET.replace('/', '/consume'))
  await answers(++count)
  t.strictSame(heard, ['/end', '/close'])
})

t.test('a request with a body is read as ever, by who reads it and for who does not', async (t) => {
  const bodies: string[] = []
  const { socket, answers } = await stage(t, (request, response) => {
    if (request.url === '/unread') {
      response.end()
      return
    }
    text(request).then((body) => { bodies.push(body); response.end() }, () => { response.destroy() })
  })
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello')
  await answers(1)
  socket.write('POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello')
  await answers(2)
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n')
  await answers(3)
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
  await answers(4)
  t.strictSame(bodies, ['hello', 'abc', ''])
})

t.test('a client that leaves aborts the request that nobody has read', async (t) => {
  const left = new EventEmitter()
  const { socket } = await stage(t, (request) => {
    request.on('close', () => { left.emit('left', request.readableEnded) })
    socket.destroy()
  })
  socket.write(GET)
  t.strictSame(await once(left, 'left'), [false])
})
