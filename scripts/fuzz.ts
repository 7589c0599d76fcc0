// Throws mutated Cookie headers at the session store: none may throw, none may pass for what was not sealed.
import { performance } from 'node:perf_hooks'
import type { Session } from '../src/session/session.ts'
import { headerOf, namedKey, noise, NOW, sampleSession, sealingKit } from '../test/support/sealing.ts'

const RUNS = process.argv.includes('--ci') ? 20_000 : 1_000_000
const seedAt = process.argv.indexOf('--seed')
const SEED = seedAt < 0 ? 1 : Number(process.argv[seedAt + 1])

/** Milliseconds that one header may take; a pause of the machine included. */
const SLOW = 1000

/** Mulberry32: small, seeded, good enough to choose mutations. */
function createRandom (seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const random = createRandom(SEED)
const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
const kit = sealingKit({ layout: 'split', keys: [namedKey('a'), namedKey('b')] })
const sessions = [
  sampleSession({ refreshToken: noise(60, 'r1') }),
  sampleSession({ sid: 'QUJDREVGR0hJSktMTU5PUA', accessToken: noise(7000, 'a2'), refreshToken: noise(4500, 'r2') }),
  sampleSession({ generation: 4, accessToken: noise(4000, 'a3'), claims: { name: 'Jane' }, idToken: noise(2000, 'i3') })
]
const headers = await Promise.all(sessions.map(async (session) => await headerOf(kit, session, '/bff')))
const marks = await Promise.all(sessions.map(async (session) => (await kit.store.markSpent(session)).split(';', 1)[0] ?? ''))
const known = new Set(sessions.flatMap((session) => {
  const { refreshToken, ...withoutRefreshToken } = session
  return [JSON.stringify(sorted(session)), JSON.stringify(sorted(withoutRefreshToken))]
}))

function sorted (session: Session): object {
  return Object.fromEntries(Object.entries(session).sort(([a], [b]) => a < b ? -1 : 1))
}

const CHARACTERS = 'ABCxyz019-_.=;, "%\\\u0000\u00ff\u20ac'
const NAMES = ['__Host-Http-bulla.0', '__Host-Http-bulla.1', '__Host-Http-bulla.7', '__Host-Http-bulla.08',
  '__Secure-bulla-refresh.0',
  '__Host-Http-bulla-end', '__Host-Http-bulla-spent', '__Host-Http-bulla', '__host-http-bulla.0', '__proto__', 'a']
const header = Buffer.from('{"alg":"none","enc":"A256GCM","typ":"bulla-session+1"}').toString('base64url')

const at = (text: string): number => random(text.length + 1)
const onPairs = (change: (pairs: string[]) => string[]) => (text: string): string => change(text.split('; ')).join('; ')
const value = (pair: string): string => pair.slice(pair.indexOf('=') + 1)

const MUTATIONS: ReadonlyArray<(text: string) => string> = [
  (text) => { const i = at(text); return text.slice(0, i) + pick([...CHARACTERS]) + text.slice(i + 1) },
  (text) => { const i = at(text); return text.slice(0, i) + pick([...CHARACTERS]) + text.slice(i) },
  (text) => { const i = at(text); return text.slice(0, i) + text.slice(i + random(40)) },
  (text) => text.slice(0, at(text)),
  (text) => text.slice(at(text)),
  (text) => text.replace(pick(['.', '=', 'A', 'b']), noise(random(200), String(random(9)))),
  (text) => `${text}; ${pick(headers)}`,
  (text) => `${text}; ${pick(NAMES)}=${value(pick(pick(headers).split('; ')))}`,
  (text) => text.replaceAll(pick(['.', '=', ';', '_', 'A', 'e']), pick(['.', '', '..', 'B', 'é'])),
  (text) => text.replace(/=[\w-]+\./, `=${header}.`),
  (text) => text.toUpperCase(),
  onPairs((pairs) => pairs.reverse()),
  onPairs((pairs) => pairs.filter(() => random(3) > 0)),
  onPairs((pairs) => pairs.map((pair) => `${pick(NAMES)}=${value(pair)}`)),
  onPairs((pairs) => { const other = pick(headers).split('; '); return pairs.map((pair, i) => random(2) > 0 ? pair : other[i] ?? pair) }),
  onPairs((pairs) => pairs.flatMap((pair) => random(3) > 0 ? [pair] : [pair, pair]))
]

const opened = { same: 0, none: 0 }
let slowest = 0
const started = performance.now()
for (let run = 0; run < RUNS; run++) {
  let text = pick(headers)
  if (random(4) === 0) text = `${text}; ${pick(marks)}`
  for (let times = 1 + random(3); times > 0; times--) text = pick(MUTATIONS)(text)
  const before = performance.now()
  const { session } = kit.store.read(text)
  slowest = Math.max(slowest, performance.now() - before)
  if (session === null) opened.none++
  else if (known.has(JSON.stringify(sorted(session.whole())))) opened.same++
  else throw new Error(`run ${run} of seed ${SEED} made a session that nobody sealed`)
}
const seconds = (performance.now() - started) / 1000
if (slowest > SLOW) throw new Error(`one header took ${slowest.toFixed(0)} ms`)
if (opened.none < RUNS / 3 || opened.same === 0) throw new Error('the mutations no longer mutate')
process.stdout.write(`fuzz: ${RUNS} Cookie headers, seed ${SEED}: ${opened.none} no session, ${opened.same} unharmed, none forged; ` +
  `slowest ${slowest.toFixed(1)} ms, ${seconds.toFixed(1)} s, time ${NOW}\n`)
