// The command line, as a process: help, wrong calls, wrong settings, serving until told to stop.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { freePort, ringKey } from '../support/build.ts'
import { startProvider } from '../support/provider.ts'

const MAIN = join(fileURLToPath(import.meta.url), '..', '..', '..', 'src', 'main.ts')

function start (args: string[], env: Record<string, string> = {}): ReturnType<typeof spawn> {
  const { PATH = '', HOME = '', NODE_OPTIONS = '' } = process.env
  const tap = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(?:_?TAP|_TAPJS|TSIMP)/.test(name)))
  return spawn(process.execPath, [...process.execArgv, MAIN, ...args], {
    env: { ...tap, PATH, HOME, NODE_OPTIONS, ...env }, stdio: ['ignore', 'pipe', 'pipe']
  })
}

interface Outcome { readonly code: number, readonly out: string, readonly err: string }

async function run (args: string[], env: Record<string, string> = {}): Promise<Outcome> {
  const child = start(args, env)
  const said = { out: '', err: '' }
  child.stdout?.on('data', (chunk) => { said.out += String(chunk) })
  child.stderr?.on('data', (chunk) => { said.err += String(chunk) })
  const [code] = await once(child, 'close') as [number]
  return { code, ...said }
}

t.test('help and wrong calls', async (t) => {
  const help = await run(['--help'])
  t.equal(help.code, 0)
  t.match(help.out, /bulla \[serve\]/)
  const wrong = await run(['fly'])
  t.equal(wrong.code, 2)
  t.match(wrong.err, /no such command: fly/)
  const option = await run(['--fly'])
  t.equal(option.code, 2)
  t.match(option.err, /--fly/)
})

t.test('wrong settings end the start with all problems', async (t) => {
  const { code, err } = await run(['serve'], { BULLA_PUBLIC_URL: 'http://app.example' })
  t.equal(code, 1)
  t.match(err, /public_url must be https/)
  t.match(err, /issuer is required/)
})

t.test('serves until SIGTERM, and says where', async (t) => {
  const provider = await startProvider(t)
  const port = await freePort()
  const child = start([], {
    BULLA_PUBLIC_URL: `http://localhost:${port}`,
    BULLA_ISSUER: provider.issuer,
    BULLA_CLIENT_ID: provider.clientId,
    BULLA_CLIENT_SECRET: provider.clientSecret,
    BULLA_KEYS: ringKey(),
    BULLA_ADMIN_PORT: '0',
    HOST: '127.0.0.1',
    PORT: String(port)
  })
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout ?? process.stdin })) {
    lines.push(line)
    if (line.includes('"listening"')) break
  }
  t.match(JSON.parse(lines.at(-1) ?? '{}'), { public_url: `http://localhost:${port}`, keys: [/^[\w-]{8}$/] })
  const health = await fetch(`http://localhost:${port}/bff/health`)
  t.equal(health.status, 200)

  const second = await run([], {
    BULLA_PUBLIC_URL: `http://localhost:${port}`,
    BULLA_ISSUER: provider.issuer,
    BULLA_CLIENT_ID: provider.clientId,
    BULLA_CLIENT_SECRET: provider.clientSecret,
    BULLA_KEYS: ringKey(),
    BULLA_ADMIN_PORT: 'off',
    HOST: '127.0.0.1',
    PORT: String(port)
  })
  t.equal(second.code, 1, 'a second one cannot listen there')
  t.match(second.err, /cannot listen: .*EADDRINUSE/)

  child.kill('SIGTERM')
  const [code] = await once(child, 'exit') as [number]
  t.equal(code, 0)
  t.notMatch(lines.join('\n'), provider.clientSecret)
})
