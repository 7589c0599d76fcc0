// Holds the breaker to its word: it trips by failures in a row, lets a trickle through, ends with a success.
import t from 'tap'
import { createBreaker } from '../../src/lib/breaker.ts'

function tripped () {
  const clock = { at: 0 }
  const breaker = createBreaker({ threshold: 3, inFlight: 2, interval: 100, now: () => clock.at })
  for (let failure = 0; failure < 3; failure++) breaker.enter()?.done(false)
  return { breaker, clock }
}

t.test('it trips by failures in a row only', async (t) => {
  const breaker = createBreaker({ threshold: 2, inFlight: 1, interval: 100 })
  breaker.enter()?.done(false)
  breaker.enter()?.done(true)
  breaker.enter()?.done(false)
  t.equal(breaker.isTripped, false)
  breaker.enter()?.done(false)
  t.equal(breaker.isTripped, true)
})

t.test('REF-23 tripped, it lets one call through each interval, and few at a time', async (t) => {
  const { breaker, clock } = tripped()
  t.equal(breaker.enter(), null, 'not at once')
  clock.at += 100
  const first = breaker.enter()
  t.equal(first?.isProbe, true)
  t.equal(breaker.enter(), null)
  clock.at += 100
  t.ok(breaker.enter())
  clock.at += 100
  t.equal(breaker.enter(), null, 'two are in flight')
  first?.done(false)
  first?.done(false)
  t.ok(breaker.enter(), 'one came back')
  t.equal(breaker.enter(), null)
})

t.test('REF-07 the first success ends it', async (t) => {
  const { breaker, clock } = tripped()
  clock.at += 100
  breaker.enter()?.done(true)
  t.equal(breaker.isTripped, false)
  t.equal(breaker.enter()?.isProbe, false)
})
