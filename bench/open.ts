// How long opening a session takes, cold and seen before, beside jose and iron-session; what sealing costs.
import { performance } from 'node:perf_hooks'
import { randomBytes } from 'node:crypto'
import { sealData, unsealData } from 'iron-session'
import { compactDecrypt, CompactEncrypt } from 'jose'
import { headerOf, NOW, sampleSession, sealingKit } from '../test/support/sealing.ts'
import { keycloak } from './token-sets.ts'

const IS_SMOKE = process.argv.includes('--smoke')
const ROUNDS = IS_SMOKE ? 3 : 60
const OPENINGS = IS_SMOKE ? 500 : 2000

/** Microseconds that product.md section 10 allows. */
const TARGETS = { cold: 20, seen: 5 }

const { name, ...tokens } = keycloak()
const session = sampleSession(tokens)
const json = JSON.stringify({ ...session, iat: NOW, exp: NOW + 43_200 })
const key = randomBytes(32)
const password = key.toString('hex')
const cold = sealingKit({ memoBytes: 0, shelfBytes: 0 })
const shelved = sealingKit({ memoBytes: 0 })
const warm = sealingKit()

/** A header as it comes from a socket: a string of its own each time, as node makes one of each request. */
const bytes = Buffer.from(`theme=dark; ${await headerOf(warm, session)}; lang=de`, 'latin1')
const asReceived = (): string => bytes.toString('latin1')
const shelvedBytes = Buffer.from(`theme=dark; ${await headerOf(shelved, session)}; lang=de`, 'latin1')
const coldBytes = Buffer.from(`theme=dark; ${await headerOf(cold, session)}; lang=de`, 'latin1')

const cryptoKey = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt', 'decrypt'])
const header = { alg: 'dir', enc: 'A256GCM' }
const jwe = await new CompactEncrypt(Buffer.from(json)).setProtectedHeader(header).encrypt(cryptoKey)
const iron = await sealData(JSON.parse(json), { password })
const decoder = new TextDecoder()
const ring = warm.ring.sealing('session')

type Work = () => unknown
interface Entry { readonly what: string, readonly run: Work, readonly divide?: number }
const WORK: Readonly<Record<string, Entry>> = {
  cold: {
    what: 'Bulla: whole Cookie header to session, cold',
    run: () => cold.store.read(coldBytes.toString('latin1'))
  },
  seen: { what: 'Bulla: the same, seen lately', run: () => warm.store.read(asReceived()) },
  shelved: {
    what: 'Bulla: the same, seen before, but not lately',
    run: () => shelved.store.read(shelvedBytes.toString('latin1'))
  },
  jose: {
    what: 'jose compactDecrypt with a CryptoKey, JSON',
    run: async () => JSON.parse(decoder.decode((await compactDecrypt(jwe, cryptoKey)).plaintext)) as unknown,
    divide: 5
  },
  joseBytes: {
    what: 'jose compactDecrypt with key bytes, JSON',
    run: async () => JSON.parse(decoder.decode((await compactDecrypt(jwe, key)).plaintext)) as unknown,
    divide: 5
  },
  iron: { what: 'iron-session unsealData', run: async () => await unsealData(iron, { password }), divide: 20 },
  write: { what: 'Bulla: encode, seal and write', run: async () => await cold.store.write(session, null), divide: 10 },
  sealCryptoKey: {
    what: 'sealing alone: jose with a CryptoKey',
    run: async () => await new CompactEncrypt(bytes).setProtectedHeader(ring.header).encrypt(cryptoKey),
    divide: 10
  },
  sealKeyObject: {
    what: 'sealing alone: jose with a KeyObject',
    run: async () => await new CompactEncrypt(bytes).setProtectedHeader(ring.header).encrypt(ring.key),
    divide: 10
  }
}

/** The best of all rounds: what the work takes when the machine does nothing else. */
const best: Record<string, number> = {}
for (let round = 0; round < ROUNDS; round++) {
  for (const [key, { run, divide = 1 }] of Object.entries(WORK)) {
    const count = Math.ceil(OPENINGS / divide)
    const started = performance.now()
    for (let index = 0; index < count; index++) {
      const result = run()
      if (result instanceof Promise) await result
    }
    const took = (performance.now() - started) * 1000 / count
    best[key] = Math.min(best[key] ?? Infinity, took)
  }
}

const ours = best.cold ?? 0
process.stdout.write('| opening a Keycloak session | µs | times cold |\n| --- | ---: | ---: |\n')
for (const [key, { what }] of Object.entries(WORK)) {
  process.stdout.write(`| ${what} | ${best[key]?.toFixed(1)} | ${((best[key] ?? 0) / ours).toFixed(1)} |\n`)
}
for (const [key, target] of Object.entries(TARGETS)) {
  const isMet = (best[key] ?? Infinity) <= target
  process.stdout.write(`${key}: ${best[key]?.toFixed(1)} µs, target ${target} µs: ${isMet ? 'met' : 'MISSED'}\n`)
  if (!isMet && !IS_SMOKE) process.exitCode = 1
}
