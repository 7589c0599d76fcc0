// `npm run demo`: an authorization server, an API and Bulla in front of a page, with throw-away keys.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { loadConfig } from '../src/config/load.ts'
import { buildServer } from '../src/server.ts'
import { startChild, type Child } from './children.ts'
import { packageRoot } from './package-root.ts'
import { freePort } from './ports.ts'
import { demoUsers } from './provider/users.ts'

const AUDIENCE = 'urn:bulla-demo:orders'

interface Party { readonly name: string, readonly ended?: Promise<void>, stop(): Promise<void> }

async function main (): Promise<void> {
  const running: Party[] = []
  let ending = false
  const end = async (code: number, reason?: string) => {
    if (ending) return
    ending = true
    if (reason !== undefined) console.error(`\n${reason}`)
    await Promise.allSettled(running.reverse().map((party) => party.stop()))
    process.exit(code)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => { end(0, 'The demo is over.') })

  try {
    const url = await startParties(running)
    for (const { name, ended } of running) ended?.then(() => end(1, `${name} has ended, and so does the demo.`))
    announce(url)
  } catch (error) {
    await end(1, `The demo cannot start: ${(error as Error).message}`)
  }
}

/** Starts the three parties, each listed as soon as it runs. @returns the address of the app */
async function startParties (running: Party[]): Promise<string> {
  const port = await freePort(Number(process.env.PORT ?? 3000))
  const providerPort = await freePort(port + 1)
  const apiPort = await freePort(port + 2, [providerPort])
  const publicUrl = `http://localhost:${port}`

  const provider: Child<{ issuer: string, clientId: string, clientSecret: string }> = await startChild(
    'The authorization server', './provider/process', {
      port: providerPort,
      audience: AUDIENCE,
      redirectUris: [`${publicUrl}/bff/callback`],
      postLogoutRedirectUris: [`${publicUrl}/bff/logged-out`]
    })
  running.push(provider)
  const { issuer, clientId, clientSecret } = provider.ready
  const api: Child<{ url: string }> = await startChild(
    'The orders API', './orders/process', { port: apiPort, issuer, audience: AUDIENCE, requireScopes: true })
  running.push(api)

  const bulla = await buildServer(loadConfig({
    env: {
      BULLA_PUBLIC_URL: publicUrl,
      BULLA_ISSUER: issuer,
      BULLA_CLIENT_ID: clientId,
      BULLA_CLIENT_SECRET: clientSecret,
      BULLA_SCOPE: 'openid profile email offline_access orders:read orders:write',
      BULLA_KEYS: randomBytes(32).toString('base64url'),
      BULLA_ROUTES: `/api=${api.ready.url}`,
      BULLA_SPA: join(packageRoot(), 'demo/page'),
      BULLA_ADMIN_PORT: '0',
      BULLA_LOG_LEVEL: process.env.BULLA_LOG_LEVEL ?? 'warn',
      HOST: '127.0.0.1',
      PORT: String(port)
    }
  }))
  running.push({ name: 'Bulla', stop: () => bulla.close() })
  await bulla.listen()
  return publicUrl
}

function announce (url: string): void {
  const strong = (text: string) => process.stdout.isTTY ? styleText('bold', text) : text
  const people = demoUsers.map(({ name, about }) => `    ${strong(name)} · ${about}`).join('\n')
  console.log(`
  Bulla's demo runs at ${strong(url)}

  Log in as one of two people (no password):
${people}

  This is a demo: its keys and secrets are made up at each start and thrown away, and everything
  listens on this machine alone. Access tokens live two minutes, so that you can watch them being
  refreshed. Ctrl-C ends it.
`)
}

await main()
