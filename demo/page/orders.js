// The orders: listed, placed, and followed live over server-sent events.
import { call, openStream } from './calls.js'

const byId = (id) => document.getElementById(id)
let following = null

/** Fetches the list. */
export async function loadOrders () {
  const { orders } = await call('/api/orders')
  byId('orders').replaceChildren(...orders.map(row))
}

/** Places an order with what the form holds. */
export async function placeOrder (form) {
  const data = new window.FormData(form)
  const order = await call('/api/orders', {
    method: 'POST', body: { goods: data.get('goods'), minas: Number(data.get('minas')) }
  })
  byId('orders').prepend(row(order))
  form.reset()
}

function row (order) {
  const line = document.createElement('tr')
  line.dataset.id = order.id
  for (const [text, name] of [[order.goods, ''], [order.minas, 'number'], [order.status, 'status']]) {
    const cell = document.createElement('td')
    cell.textContent = text
    cell.className = name
    line.append(cell)
  }
  return line
}

/**
 * Follows the events until `stopFollowing`, the end of the session, or an error.
 * The stream ends when the token that opened it expires: it is then opened anew, with a fresh one.
 */
export async function follow () {
  stopFollowing()
  const abort = following = new AbortController()
  byId('live').checked = true
  byId('live-state').textContent = 'following'
  try {
    while (!abort.signal.aborted) {
      for await (const event of events(await openStream('/api/events', abort.signal))) move(event)
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error
  } finally {
    if (following === abort) stopFollowing()
  }
}

/** Ends the stream, if there is one. */
export function stopFollowing () {
  following?.abort()
  following = null
  byId('live').checked = false
  byId('live-state').textContent = ''
}

/** Server-sent events by hand: EventSource cannot send the CSRF header. */
async function * events (body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let buffer = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    buffer += value
    const blocks = buffer.split('\n\n')
    buffer = blocks.pop()
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/:\s?(.*)/s)))
      if (fields.event === 'order') yield JSON.parse(fields.data)
    }
  }
}

function move (order) {
  const line = [...byId('orders').children].find(({ dataset }) => dataset.id === order.id)
  if (line === undefined) return
  line.querySelector('.status').textContent = order.status
  line.classList.add('moved')
  setTimeout(() => line.classList.remove('moved'), 700)
}
