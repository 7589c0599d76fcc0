// What one turn of the event loop brings is handled at its end, in order; what comes then waits for the next.
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { Turn } from '../../src/lib/turn.ts'

t.test('items of one turn are handled together at its end', async (t) => {
  const handled: string[] = []
  const items = new Turn<string>((item) => {
    handled.push(item)
    if (item === 'a') items.add('late')
  })
  items.add('a')
  items.add('b')
  t.strictSame(handled, [])
  await turn()
  t.strictSame(handled, ['a', 'b'])
  await turn()
  t.strictSame(handled, ['a', 'b', 'late'])
})
