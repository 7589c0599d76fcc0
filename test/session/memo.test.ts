// What is remembered of opened sessions: what comes again, not what comes once.
import t from 'tap'
import { createMemo } from '../../src/session/memo.ts'
import { noise } from '../support/sealing.ts'

t.test('a text is remembered when it comes for the second time', async (t) => {
  const memo = createMemo<string>(1_000_000)
  const text = noise(500, 'one')
  memo.set(text, () => 'first', 100)
  t.equal(memo.get(text, 1), undefined)
  memo.set(text, (own) => own === text ? 'second' : 'another text', 100)
  t.equal(memo.get(text, 1), 'second')
  t.equal(memo.get(text, 100), undefined, 'its time is over')
  memo.set(text, () => 'third', 200)
  t.equal(memo.get(text, 101), 'third')
  memo.clear()
  t.equal(memo.get(text, 101), undefined)
})

t.test('texts that come once push out nothing that comes often', async (t) => {
  const memo = createMemo<number>(200_000)
  const often = noise(500, 'often')
  memo.set(often, () => 1, 100)
  memo.set(often, () => 1, 100)
  for (let index = 0; index < 2000; index++) {
    const once = noise(500, `once ${index}`)
    memo.set(once, () => 2, 100)
    t.equal(memo.get(once, 1), undefined)
  }
  t.equal(memo.get(often, 1), 1)
})

t.test('a memo of no bytes remembers nothing', async (t) => {
  const memo = createMemo<number>(0)
  for (let time = 0; time < 3; time++) memo.set(noise(500), () => time, 100)
  t.equal(memo.get(noise(500), 1), undefined)
})
