// Every call that the page makes: through Bulla's client, timed, and written into a list for all to see.
import { createClient } from '/bff/client.js'

/** Knows the session, logs in and out, adds the CSRF header, and hears what other tabs do. */
export const client = createClient()

const MAX_SHOWN = 5
const list = document.getElementById('calls')

/** An answer that was not what the page hoped for; `code` is what Bulla, or else the API, calls it. */
export class CallError extends Error {
  constructor (status, code, detail, fromBulla) {
    super(detail)
    Object.assign(this, { status, code, fromBulla })
  }
}

/**
 * Calls the own origin.
 * @param {string} path
 * @param {{method?: string, body?: object, csrf?: boolean}} [options]
 *   `csrf: false` goes past the client, and so without the header that it adds
 * @returns the JSON that was answered
 * @throws {CallError}
 */
export async function call (path, { method = 'GET', body, csrf = true } = {}) {
  const response = await send(path, { method, body, csrf, accept: 'application/json' })
  return response.status === 204 ? null : await response.json()
}

/** The same for an answer that goes on; hands out its body. */
export async function openStream (path, signal) {
  const response = await send(path, { method: 'GET', csrf: true, accept: 'text/event-stream', signal })
  return response.body
}

/** Awaits what was sent; where nobody answers, the error says so in words for people. */
export async function reached (answer) {
  try {
    return await answer
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new CallError(0, 'unreachable', 'Bulla does not answer. Is the demo still running?', false)
  }
}

async function send (path, { method, body, csrf, accept, signal }) {
  const started = window.performance.now()
  const headers = { accept, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  const init = { method, headers, body: body && JSON.stringify(body), signal }
  let response
  try {
    response = await reached(csrf ? client.fetch(path, init) : fetch(path, init))
  } catch (error) {
    if (!signal?.aborted) show(method, path, 'failed', started)
    throw error
  }
  show(method, path, response.status, started)
  if (response.ok) return response
  throw await toError(response)
}

async function toError (response) {
  const body = await response.json().catch(() => ({}))
  const code = response.headers.get('bulla-error')
  return new CallError(
    response.status, code ?? body.error ?? String(response.status),
    body.detail ?? body.error_description ?? body.title ?? '', code !== null
  )
}

function show (method, path, status, started) {
  const line = document.createElement('li')
  const took = `${Math.round(window.performance.now() - started)} ms`
  const good = typeof status === 'number' && status < 400
  for (const [text, name] of [[method, ''], [path, 'path'], [status, good ? 'ok' : 'not-ok'], [took, 'ms']]) {
    const part = document.createElement('span')
    part.textContent = text
    part.className = name
    line.append(part)
  }
  list.prepend(line)
  while (list.children.length > MAX_SHOWN) list.lastElementChild.remove()
}
