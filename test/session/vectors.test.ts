// The format as written down: vectors of every release still open, and the document names what the code does.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { DICTIONARY } from '../../src/session/dictionary.ts'
import { createKeyring, kidOf, PURPOSES, type Purpose } from '../../src/session/keyring.ts'
import { fromRoot } from '../support/root.ts'
import { sealingKit } from '../support/sealing.ts'

interface Vectors {
  readonly origin: string
  readonly issuer: string
  readonly client_id: string
  readonly keys: ReadonlyArray<{ key: string, kid: string, derived: Record<string, string> }>
  readonly cases: ReadonlyArray<{
    what: string
    now: number
    cookies: Record<string, string>
    plaintext: Record<string, string>
    session: object
  }>
}

const vectors = JSON.parse(readFileSync(fromRoot('test/vectors/format-1.json'), 'utf8')) as Vectors
const binding = { origin: vectors.origin, issuer: vectors.issuer, clientId: vectors.client_id }
const keys = vectors.keys.map(({ key }) => key)

t.test('the keys of the vectors derive as written', async (t) => {
  for (const { key, kid, derived } of vectors.keys) {
    t.equal(kidOf(key), kid)
    const ring = createKeyring([key], binding)
    for (const [purpose, hex] of Object.entries(derived)) {
      t.ok(PURPOSES.includes(purpose as Purpose))
      t.equal(ring.sealing(purpose as Purpose).key.export().toString('hex'), hex)
    }
  }
})

t.test('the cookies of the vectors open to the sessions of the vectors', async (t) => {
  const kit = sealingKit({ keys, binding })
  for (const { what, now, cookies, plaintext, session } of vectors.cases) {
    kit.time = now
    const header = Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join('; ')
    t.strictSame(JSON.parse(JSON.stringify(kit.store.read(header).session?.whole())), session, what)
    for (const [purpose, hex] of Object.entries(plaintext)) {
      const stem = kit.cookies.name(purpose as 'session' | 'refresh', '')
      const text = Object.entries(cookies).filter(([name]) => name.startsWith(stem)).map(([, value]) => value).join('')
      t.equal(kit.sealer.open(purpose as Purpose, text)?.toString('hex'), hex)
    }
  }
})

t.test('the document carries the dictionary of the code', async (t) => {
  const document = readFileSync(fromRoot('docs/cookie-format.md'), 'utf8')
  const [, block = ''] = /```dictionary\n([^`]*)\n```/.exec(document) ?? []
  t.equal(block.replaceAll('\n', ''), DICTIONARY)
  t.match(document, createHash('sha256').update(DICTIONARY).digest('hex'))
  t.match(document, `${DICTIONARY.length} bytes`)
})
