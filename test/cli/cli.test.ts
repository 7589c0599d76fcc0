// The command line: help, wrong calls, wrong settings, serving until told to stop.
import t from 'tap'
import { freePort, ringKey } from '../support/build.ts'
import { runBulla as run } from '../support/cli.ts'
import { startProvider } from '../support/provider.ts'

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
  const file = await run(['--config', `${t.testdir({})}/none.yaml`])
  t.equal(file.code, 1)
  t.match(file.err, /none\.yaml cannot be read/)
})

t.test('serves until it is told to stop; a port that is taken ends the start', async (t) => {
  const provider = await startProvider(t)
  const port = await freePort()
  const env = {
    BULLA_PUBLIC_URL: `http://localhost:${port}`,
    BULLA_ISSUER: provider.issuer,
    BULLA_CLIENT_ID: provider.clientId,
    BULLA_CLIENT_SECRET: provider.clientSecret,
    BULLA_KEYS: ringKey(),
    BULLA_ADMIN_PORT: '0',
    BULLA_LOG_LEVEL: 'silent',
    HOST: '127.0.0.1',
    PORT: String(port)
  }
  const first = await run([], env)
  t.equal(first.code, 0)
  t.equal((await fetch(`http://localhost:${port}/bff/health`)).status, 200)

  const second = await run([], env)
  t.equal(second.code, 1, 'a second one cannot listen there')
  t.match(second.err, /cannot listen: .*EADDRINUSE/)

  await first.stop(new Error('a fault'))
  await t.rejects(fetch(`http://localhost:${port}/bff/health`), 'nobody listens any more')
})
