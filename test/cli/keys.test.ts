// `bulla keys` and `bulla open`, called in this process.
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { keyFault } from '../../src/lib/ring-key.ts'
import { kidOf } from '../../src/session/keyring.ts'
import { runBulla as run, type Outcome } from '../support/cli.ts'
import { BINDING, headerOf, namedKey, noise, sampleSession, sealingKit } from '../support/sealing.ts'

const [a, b] = [namedKey('a'), namedKey('b')]

t.test('keys generate prints a key that can be used, and says what to do with it', async (t) => {
  const plain = await run(['keys', 'generate'])
  t.equal(keyFault(plain.out), null)
  t.match(plain.err, new RegExp(`${kidOf(plain.out)}.*BULLA_KEYS`))
  const { key, kid } = JSON.parse((await run(['keys', 'generate', '--json'])).out) as { key: string, kid: string }
  t.equal(kidOf(key), kid)
})

t.test('keys list shows ids and uses, wherever the ring comes from, and never a key', async (t) => {
  const folder = t.testdir({ keys: `${a}\n${b} # published 2026\n`, 'bulla.yaml': `keys: [${a}, ${b}]\n`, 'file.json': '' })
  writeFileSync(join(folder, 'file.json'), JSON.stringify({ keys_file: join(folder, 'keys') }))
  for (const [args, env] of [
    [[], { BULLA_KEYS: `${a},${b}` }], [[], { BULLA_KEYS_FILE: join(folder, 'keys') }],
    [['--config', join(folder, 'bulla.yaml')], {}], [[], { BULLA_CONFIG: join(folder, 'file.json') }]
  ] as Array<[string[], Record<string, string>]>) {
    const { code, out, err } = await run(['keys', 'list', ...args], env)
    t.equal(code, 0)
    t.match(out, `1  ${kidOf(a)}  seals and opens`)
    t.match(out, `2  ${kidOf(b)}  opens`)
    t.notMatch(out + err, new RegExp(`${a}|${b}`))
  }
  t.match((await run(['keys', 'list'], { BULLA_KEYS: a })).err, /--stage publish/)
})

t.test('keys rotate leads through publish, activate and retire, and refuses a step out of order', async (t) => {
  const file = join(t.testdir({ keys: `${a}\n` }), 'keys')
  const env = { BULLA_KEYS_FILE: file }
  const ring = (): string[] => readFileSync(file, 'utf8').trim().split('\n').map((line) => line.split(' ', 1)[0] ?? '')
  const step = async (stage: string): Promise<Outcome> => await run(['keys', 'rotate', '--stage', stage], env)
  t.match(await step('activate'), { code: 1, err: /publish/ })
  t.match(await step('publish'), { code: 0, err: /activate/ })
  const [first, fresh = ''] = ring()
  t.equal(first, a)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(await step('publish'), { code: 1, err: /published already/ })
  t.match(await step('retire'), { code: 1, err: /activate/ })
  t.match(await step('activate'), { code: 0, err: /retire/ })
  t.strictSame(ring(), [fresh, a])
  t.match(await step('activate'), { code: 1, err: /publish/ })
  t.match(await step('retire'), { code: 0, err: /over/ })
  t.strictSame(ring(), [fresh])
  t.equal((await run(['keys', 'list'], env)).code, 0)
})

t.test('keys rotate follows a link, and prints the ring when it stands in the environment', async (t) => {
  const folder = t.testdir({ real: `${a}\n` })
  symlinkSync('real', join(folder, 'keys'))
  t.equal((await run(['keys', 'rotate', '--stage', 'publish'], { BULLA_KEYS_FILE: join(folder, 'keys') })).code, 0)
  t.equal(readFileSync(join(folder, 'real'), 'utf8').trim().split('\n').length, 2)
  const { out, err } = await run(['keys', 'rotate', '--stage', 'activate', '--json'], { BULLA_KEYS: `${a},${b}` })
  t.equal((JSON.parse(out) as { BULLA_KEYS: string }).BULLA_KEYS, `${b},${a}`)
  t.equal(err, '')
  t.match((await run(['keys', 'rotate', '--stage', 'retire'], { BULLA_KEYS: `${b},${a}` })).out, `BULLA_KEYS=${b}`)
})

t.test('keys without a ring, with a broken one, or called wrongly', async (t) => {
  const folder = t.testdir({ broken: 'change-me', 'bad.yaml': 'keys: [' })
  t.match(await run(['keys', 'list']), { code: 1, err: /keys is required/ })
  t.match(await run(['keys', 'list'], { BULLA_KEYS_FILE: join(folder, 'broken') }), { code: 1, err: /key 1/ })
  t.match(await run(['keys', 'list'], { BULLA_KEYS_FILE: join(folder, 'none') }), { code: 1, err: /ENOENT/ })
  t.match(await run(['keys', 'list', '--config', join(folder, 'bad.yaml')]), { code: 1, err: /cannot be read/ })
  const held = { BULLA_KEYS_FILE: join(folder, 'held') }
  writeFileSync(held.BULLA_KEYS_FILE, a)
  writeFileSync(`${held.BULLA_KEYS_FILE}.${process.pid}.new`, '')
  t.match(await run(['keys', 'rotate', '--stage', 'publish'], held), { code: 1, err: /EEXIST.*Nothing was changed/ })
  t.equal(readFileSync(held.BULLA_KEYS_FILE, 'utf8'), a)
  for (const args of [['keys'], ['keys', 'fly'], ['keys', 'rotate'], ['keys', 'list', 'x'], ['keys', 'rotate', '--stage', 'x']]) {
    t.equal((await run(args, { BULLA_KEYS: a })).code, 2)
  }
})

const ENV = {
  BULLA_PUBLIC_URL: BINDING.origin,
  BULLA_ISSUER: BINDING.issuer,
  BULLA_CLIENT_ID: BINDING.clientId,
  BULLA_CLIENT_SECRET: 'the secret of a test',
  BULLA_KEYS: `${b},${a}`
}

t.test('S46 open shows a session with its tokens masked, from a header, a value, an argument or standard input', async (t) => {
  const kit = sealingKit({ layout: 'split' })
  const session = sampleSession({
    accessToken: noise(5000, 'at'), refreshToken: noise(90, 'rt'), idToken: noise(80, 'id'), claims: { name: 'Jane Doe' }
  })
  const spent = (await kit.store.markSpent(session)).split(';', 1)[0] ?? ''
  const header = `Cookie: other=1; ${await headerOf(kit, session, '/bff')}; ${spent}`
  for (const answer of [await run(['open', header], ENV), await run(['open'], ENV, `${header}\n`), await run(['open', '-'], ENV, header)]) {
    t.equal(answer.code, 0)
    t.match(answer.out, /session: 2 cookies, \d+ bytes, opened with key/)
    t.match(answer.out, /accessToken: 5000 characters, sha256 [0-9a-f]{12}/)
    t.match(answer.out, /refreshToken: 90 characters/)
    t.match(answer.out, /expiresAt: 1795043200 \(2026-/)
    t.match(answer.out, /claims: {"name":"Jane Doe"}/)
    t.match(answer.out, /budget: \d+ of 7000/)
    t.match(answer.out, /older key/)
    for (const token of [session.accessToken, session.refreshToken ?? '', session.idToken ?? '']) {
      t.notMatch(answer.out, token.slice(0, 30))
    }
  }
  const value = await kit.sealer.seal('spent', Buffer.from('{"sid":"x","generation":3}'))
  t.match((await run(['open', value], ENV)).out, /generation: 3/)
  const sealed = header.slice(header.indexOf('bulla.0=') + 8, header.indexOf(';', header.indexOf('bulla.0='))) +
    header.slice(header.indexOf('bulla.1=') + 8, header.indexOf(';', header.indexOf('bulla.1=')))
  const { cookies } = JSON.parse((await run(['open', sealed, '--json'], ENV)).out) as { cookies: Array<{ kind: string, kid: string, fault: null }> }
  t.match(cookies, [{ kind: 'session', kid: kidOf(a), fault: null, chunks: 2 }])
})

t.test('open says why a cookie does not open', async (t) => {
  const kit = sealingKit()
  const header = await headerOf(kit, sampleSession())
  const value = header.slice(header.indexOf('=') + 1)
  const login = await kit.sealer.seal('login', Buffer.from('{}'))
  const future = await sealingKit().sealer.seal('session', Buffer.concat([Buffer.of(1, 0, kit.sealer.sealedLength('session', 4)), Buffer.of(9)]))
  const cases: Array<[string, Record<string, string>, RegExp]> = [
    [header, { BULLA_KEYS: b }, /no key \S+ in this ring/],
    [header, { BULLA_CLIENT_ID: 'other' }, /another public_url, issuer or client_id/],
    [`${header.slice(0, -1)}${header.endsWith('A') ? 'E' : 'A'}`, {}, /was changed/],
    [login, {}, /another purpose \(bulla-login\+1\)/],
    [`${header}; ${header}`, {}, /there twice/],
    [`__Host-Http-bulla.0=${value}${noise(4000)}`, {}, /too long/],
    ['__Host-Http-bulla.0=x', {}, /not a sealed value/],
    [`__Host-Http-bulla-end=${value}`, {}, /another purpose/],
    [future, {}, /format version/],
    ['foreign=1', {}, /^$/]
  ]
  for (const [cookie, env, reason] of cases) {
    const { code, out } = await run(['open', cookie], { ...ENV, ...env })
    t.equal(code, 1)
    t.match(out, reason)
  }
  t.match(await run(['open', header], {}), { code: 1, err: /public_url is required/ })
  t.match(await run(['open'], ENV, ' '), { code: 2, err: /usage/ })
})
