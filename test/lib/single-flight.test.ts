// Holds the single flight to its word: one flight for a key, results remembered as told, failures never.
import t from 'tap'
import { createSingleFlight } from '../../src/lib/single-flight.ts'

t.test('REF-09 callers of one key share one flight, those of another do not', async (t) => {
  const flights = createSingleFlight<{ key: string }>()
  let count = 0
  const work = (key: string) => async () => {
    count += 1
    return { key }
  }
  const [a, b, c] = await Promise.all([flights.run('x', work('x')), flights.run('x', work('x')), flights.run('y', work('y'))])
  t.equal(a, b)
  t.strictSame(c, { key: 'y' })
  t.equal(count, 2)
  t.equal(flights.isFlying('x'), false)
  t.equal(flights.peek('x'), undefined, 'nothing is remembered unless told')
})

t.test('each result is remembered for its own time', async (t) => {
  const flights = createSingleFlight<{ ms: number }>({ rememberFor: ({ ms }) => ms })
  await flights.run('long', async () => ({ ms: 60_000 }))
  await flights.run('never', async () => ({ ms: 0 }))
  t.strictSame(flights.peek('long'), { ms: 60_000 })
  t.equal(flights.peek('never'), undefined)
  t.strictSame(await flights.run('long', async () => ({ ms: 1 })), { ms: 60_000 })
})

t.test('a failure is shared and not remembered', async (t) => {
  const flights = createSingleFlight<object>({ rememberFor: 60_000 })
  const work = async () => { throw new Error('no') }
  const both = [flights.run('x', work), flights.run('x', work)]
  t.equal(flights.isFlying('x'), true)
  for (const flight of both) await t.rejects(flight, { message: 'no' })
  t.strictSame(await flights.run('x', async () => ({ ok: true })), { ok: true })
})

t.test('what is remembered is bounded by number and by weight', async (t) => {
  const few = createSingleFlight<object>({ rememberFor: 60_000, max: 2 })
  for (const key of ['a', 'b', 'c']) await few.run(key, async () => ({}))
  t.equal(few.peek('a'), undefined)
  const light = createSingleFlight<object>({ rememberFor: 60_000, weight: { of: () => 40, max: 100 } })
  for (const key of ['a', 'b', 'c']) await light.run(key, async () => ({}))
  t.equal(light.peek('a'), undefined)
  t.ok(light.peek('c'))
})
