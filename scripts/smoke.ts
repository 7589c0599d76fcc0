// `npm run smoke`: the packed tarball, started with environment variables only, carries one person from login
// to logout, against a provider and an API in processes of their own.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { startChild } from '../demo/children.ts'
import { packageRoot } from '../demo/package-root.ts'
import { freePort } from '../demo/ports.ts'
import { Browser } from '../test/support/browser-jar.ts'

const run = promisify(execFile)
const AUDIENCE = 'urn:bulla-smoke:orders'

/** Seconds that an access token of the smoke's provider lives: so few that a refresh is seen. */
const TOKEN_TTL = 4

const ends: Array<() => unknown> = []
let steps = 0

try {
  await smoke()
  console.log(`smoke: ${steps} steps, all well`)
} catch (error) {
  console.error(`smoke: failed after ${steps} steps:`, error)
  process.exitCode = 1
} finally {
  for (const end of ends.reverse()) await end()
}

async function smoke (): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bulla-smoke-'))
  ends.push(() => { rmSync(folder, { recursive: true, force: true }) })
  const bin = await step('pack and install the tarball', async () => await install(folder))
  const version = await step('bulla --help answers', async () => (await run(bin, ['--help'])).stdout)
  expect(version.includes('bulla'), 'the help names the program')

  const port = await freePort(4100)
  const url = `http://localhost:${port}`
  const provider = await step('start a provider in another process', async () => await startChild<{
    issuer: string, clientId: string, clientSecret: string
  }>('The provider', './provider/process', {
    interactive: false,
    audience: AUDIENCE,
    accessTokenTtl: TOKEN_TTL,
    redirectUris: [`${url}/bff/callback`],
    postLogoutRedirectUris: [`${url}/bff/logged-out`]
  }))
  ends.push(async () => { await provider.stop() })
  const { issuer, clientId, clientSecret } = provider.ready
  const api = await startChild<{ url: string }>('The API', './orders/process', { issuer, audience: AUDIENCE })
  ends.push(async () => { await api.stop() })

  await step('start bulla with environment variables only', async () => {
    await startBulla(bin, folder, {
      BULLA_PUBLIC_URL: url,
      BULLA_ISSUER: issuer,
      BULLA_CLIENT_ID: clientId,
      BULLA_CLIENT_SECRET: clientSecret,
      BULLA_KEYS: randomBytes(32).toString('base64url'),
      BULLA_ROUTES: `/api=${new URL(api.ready.url).origin}`,
      BULLA_ADMIN_PORT: 'off',
      HOST: '127.0.0.1',
      PORT: String(port)
    })
  })
  const browser = new Browser()
  ends.push(async () => { await browser.close() })
  await visit(browser, url)
}

async function visit (browser: Browser, url: string): Promise<void> {
  await step('without a session the API answers 401 login_required', async () => {
    await browser.navigate(`${url}/bff/logged-out`)
    const answer = await browser.fetch('/api/orders')
    expect(answer.status === 401 && answer.headers['bulla-error'] === 'login_required', String(answer.status))
  })
  await step('log in', async () => {
    const answer = await browser.navigate(`${url}/bff/login`)
    expect(answer.url.origin === url, `the login ends at the app, not at ${answer.url.href}`)
    const session = JSON.parse((await browser.fetch('/bff/session')).text) as { authenticated: boolean }
    expect(session.authenticated, 'the session is there')
  })
  const cookies = await step('call the API', async () => {
    const answer = await browser.fetch('/api/orders')
    expect(answer.status === 200, `${answer.status} ${answer.text}`)
    return browser.jar.header(url)
  })
  await step('the access token expires, and the next call refreshes it', async () => {
    await new Promise((resolve) => setTimeout(resolve, TOKEN_TTL * 1000))
    const answer = await browser.fetch('/api/orders')
    expect(answer.status === 200, `${answer.status} ${answer.text}`)
    expect(browser.jar.header(url) !== cookies, 'the cookie is a new one')
  })
  await step('log out', async () => {
    const answer = await browser.fetch('/bff/logout', { method: 'POST' })
    expect(answer.status === 200, String(answer.status))
    const after = await browser.fetch('/api/orders')
    expect(after.status === 401, `the API answers ${after.status}`)
  })
}

async function install (folder: string): Promise<string> {
  await run('npm', ['pack', '--pack-destination', folder], { cwd: packageRoot() })
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack made no tarball')
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  await run('npm', ['install', '--no-audit', '--no-fund', '--omit=dev', `./${tarball}`], { cwd: folder })
  return join(folder, 'node_modules', '.bin', 'bulla')
}

async function startBulla (bin: string, cwd: string, env: Record<string, string>): Promise<void> {
  const child = spawn(bin, [], { cwd, env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  ends.push(async () => { await stop(child) })
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('"listening"')) return
  }
  throw new Error('bulla ended before it listened')
}

async function stop (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit', { signal: AbortSignal.timeout(15_000) })
}

async function step<T> (name: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now()
  const result = await work()
  steps += 1
  console.log(`  ${String(steps).padStart(2)}. ${name} (${Math.round(performance.now() - started)} ms)`)
  return result
}

function expect (holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}
