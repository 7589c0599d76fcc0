// What is kept as bytes: only for the very same text, no longer than its time, and never more than its room.
import t from 'tap'
import fc from 'fast-check'
import { createShelf, RATION, type Shelf } from '../../src/session/shelf.ts'
import { noise } from '../support/sealing.ts'

const PAGE = 4096
const RECORD = 400

/** How many of them fit a page, with the head of each. */
const PER_PAGE = 9

const textOf = (name: string | number): string => noise(600, `text ${name}`)
const recordOf = (name: string | number): Buffer => Buffer.from(noise(RECORD, `record ${name}`))

function put (shelf: Shelf, name: string | number, until: number, now = 0): boolean {
  let wasAsked = false
  const make = (): Buffer => {
    wasAsked = true
    return recordOf(name)
  }
  shelf.set(textOf(name), make, until, now)
  return wasAsked
}

/** How many of them are there; what is there must be the right one. */
function count (
  t: { fail: (message: string) => void }, shelf: Shelf, names: readonly number[], now = 1
): number {
  let found = 0
  for (const name of names) {
    const bytes = shelf.get(textOf(name), now)
    if (bytes === undefined) continue
    if (!bytes.equals(recordOf(name))) t.fail(`${name} has the record of another`)
    found += 1
  }
  return found
}

function numbers (from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

t.test('bytes come back for the same text until their time is over', async (t) => {
  const shelf = createShelf(4 * PAGE, PAGE)
  t.equal(shelf.get(textOf('a'), 1), undefined)
  t.equal(put(shelf, 'a', 100), true)
  put(shelf, 'b', 50)
  t.strictSame(shelf.get(textOf('a'), 99), recordOf('a'))
  t.strictSame(shelf.get(textOf('b'), 49), recordOf('b'))
  t.equal(shelf.get(textOf('b'), 50), undefined)
  t.equal(shelf.get(textOf('a'), 100), undefined)
  shelf.clear()
  t.equal(shelf.get(textOf('a'), 1), undefined)
  put(shelf, 'a', 100)
  t.strictSame(shelf.get(textOf('a'), 1), recordOf('a'), 'and it can be filled anew')
})

t.test('SEA-01 the tag of a text is not enough: all of it must be the same', async (t) => {
  const shelf = createShelf(4 * PAGE, PAGE)
  put(shelf, 'a', 100)
  const text = textOf('a')
  for (let at = 0; at < text.length; at++) {
    const other = `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`
    if (shelf.get(other, 1) !== undefined) t.fail(`another character at ${at} makes no difference`)
  }
  t.equal(shelf.get(text.slice(1), 1), undefined)
  t.equal(shelf.get(`A${text}`, 1), undefined)
  t.equal(shelf.get(text.slice(-22), 1), undefined)
  t.equal(shelf.get('', 1), undefined)
})

t.test('what is kept anew for a text replaces what was there', async (t) => {
  const shelf = createShelf(4 * PAGE, PAGE)
  shelf.set(textOf('a'), () => recordOf('old'), 10, 0)
  shelf.set(textOf('a'), () => recordOf('new'), 100, 10)
  t.strictSame(shelf.get(textOf('a'), 11), recordOf('new'))
})

t.test('where more live than there is room for, one in some gets in, and most of the others stay', async (t) => {
  const shelf = createShelf(4 * PAGE, PAGE)
  const first = numbers(0, 4 * PER_PAGE)
  for (const name of first) t.equal(put(shelf, name, 100), true)
  t.equal(count(t, shelf, first), first.length, 'while there is room, all get in')
  const later = numbers(100, 100 + 20 * RATION)
  const asked = later.filter((name) => put(shelf, name, 100))
  // The one that finds the last page full opens the first anew; from then on one in some gets in.
  t.equal(asked.length, 21)
  t.equal(count(t, shelf, first), first.length - 3 * PER_PAGE, '21 new ones take three pages')
  t.equal(count(t, shelf, later), asked.length)
})

t.test('texts in turn, more than there is room for: what is there is found each time round', async (t) => {
  const shelf = createShelf(16 * PAGE, PAGE)
  const room = 16 * PER_PAGE
  const names = numbers(0, Math.floor(room * 1.25))
  let found = 0
  for (let round = 0; round < 12; round++) {
    found = 0
    for (const name of names) {
      const isThere = count(t, shelf, [name]) === 1
      if (isThere) found += 1
      else put(shelf, name, 100)
    }
  }
  t.ok(found > names.length * 0.6, `${found} of ${names.length}, with room for ${room}`)
})

t.test('what is dead gives way at once', async (t) => {
  const shelf = createShelf(4 * PAGE, PAGE)
  const first = numbers(0, 4 * PER_PAGE)
  for (const name of first) put(shelf, name, 10)
  const later = numbers(100, 100 + 4 * PER_PAGE)
  for (const name of later) t.equal(put(shelf, name, 100, 10), true)
  t.equal(count(t, shelf, later, 11), later.length)
  t.equal(count(t, shelf, first), 0)
})

t.test('once those that were pushed out for a page would be dead, all get in again', async (t) => {
  const shelf = createShelf(4 * PAGE, PAGE)
  for (const name of numbers(0, 4 * PER_PAGE)) put(shelf, name, 10 + name % 2)
  put(shelf, 'opens a page at the cost of the first', 100)
  const later = numbers(100, 110)
  t.ok(later.filter((name) => put(shelf, name, 100, 10)).length < later.length, 'some would live a second longer')
  for (const name of numbers(200, 210)) t.equal(put(shelf, name, 100, 11), true)
})

t.test('texts with the same tag: the later one stays, and neither gets the record of another', async (t) => {
  const shelf = createShelf(3 * PAGE, PAGE)
  const tags = numbers(0, 12).map((tag) => noise(22, `tag ${tag}`))
  const random = fc.sample(fc.tuple(fc.nat(59), fc.nat(11), fc.nat(9)), { numRuns: 20_000, seed: 7 })
  let hits = 0
  for (const [at, [front, tag, what]] of random.entries()) {
    const text = `${noise(40, `front ${front}`)}${tags[tag]}`
    const now = Math.floor(at / 100)
    const found = shelf.get(text, now)
    if (found !== undefined) hits += 1
    if (found !== undefined && !found.equals(Buffer.from(`${text} ${noise(RECORD)}`))) t.fail('a record of another text')
    if (what < 7) shelf.set(text, () => Buffer.from(`${text} ${noise(RECORD)}`), now + 1 + what, now)
    else if (what === 9 && at % 50 === 0) shelf.clear()
  }
  t.ok(hits > 100, `${hits} were found`)
})

t.test('a text that moved to another page outlives the page that it came from', async (t) => {
  const shelf = createShelf(2 * PAGE, PAGE)
  put(shelf, 'moves', 5)
  for (const name of numbers(0, PER_PAGE - 1)) put(shelf, name, 5)
  put(shelf, 'moves', 100, 5)
  for (const name of numbers(20, 20 + PER_PAGE)) put(shelf, name, 100, 5)
  t.strictSame(shelf.get(textOf('moves'), 6), recordOf('moves'))
})

t.test('bounds: no room, what is larger than a page, what makes nothing, times beyond all bounds', async (t) => {
  for (const shelf of [createShelf(0, PAGE), createShelf(PAGE - 1, PAGE)]) {
    t.equal(put(shelf, 'a', 100), false)
    t.equal(shelf.get(textOf('a'), 1), undefined)
  }
  const shelf = createShelf(2 * PAGE, PAGE)
  shelf.set(textOf('large'), () => Buffer.alloc(PAGE), 100, 0)
  t.equal(shelf.get(textOf('large'), 1), undefined)
  shelf.set(textOf('none'), () => null, 100, 0)
  t.equal(shelf.get(textOf('none'), 1), undefined)
  shelf.set(textOf('late'), () => Buffer.from('x'), 2 ** 53, 0)
  t.strictSame(shelf.get(textOf('late'), 2 ** 40), Buffer.from('x'))
  shelf.set(textOf('empty'), () => Buffer.alloc(0), 100, 0)
  t.strictSame(shelf.get(textOf('empty'), 1), Buffer.alloc(0))
})

t.test('a page has a most of records, however small they are', async (t) => {
  const shelf = createShelf(2 * 1024 * 1024)
  const texts = numbers(0, 5000).map((name) => noise(43, `${name}`))
  for (const text of texts) shelf.set(text, () => Buffer.from(text), 100, 0)
  const there = texts.filter((text) => shelf.get(text, 1)?.toString() === text)
  t.ok(there.length <= 2 * 2048)
  t.ok(there.length > 2048)
})
