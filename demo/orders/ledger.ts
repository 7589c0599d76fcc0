// The orders of the demo: kept in memory, one list for each subject, moving on as ships do.
import { randomUUID } from 'node:crypto'

/** The way of an order, in order; after the last step it starts over, since trade never ends. */
export const STEPS = ['pressed into clay', 'sealed', 'on the boat', 'at the quay', 'weighed', 'delivered'] as const

/** One order. */
export interface Order {
  readonly id: string
  readonly goods: string
  /** In minas, about half a kilogram each. */
  readonly minas: number
  status: typeof STEPS[number]
  /** Unix seconds. */
  readonly placed_at: number
}

const MAX_ORDERS = 50

/** Everybody's orders. */
export class Ledger {
  readonly #orders = new Map<string, Order[]>()
  #turn = 0

  /** The orders of a person, newest first; a person who is new here finds three. */
  of (sub: string): readonly Order[] {
    const known = this.#orders.get(sub)
    if (known !== undefined) return known
    const first = [
      order('Copper ingots, fine quality', 60, 'at the quay', 86_400),
      order('Tin from the east', 12, 'on the boat', 2 * 86_400),
      order('Sesame oil', 20, 'delivered', 9 * 86_400)
    ]
    this.#orders.set(sub, first)
    return first
  }

  /** Everybody's orders, for those who may see them. */
  all (): Array<Order & { customer: string }> {
    return [...this.#orders].flatMap(([customer, orders]) => orders.map((one) => ({ ...one, customer })))
  }

  /** Writes a new order down; of more than 50 the oldest is forgotten. */
  place (sub: string, goods: string, minas: number): Order {
    const placed = order(goods, minas, STEPS[0], 0)
    this.#orders.set(sub, [placed, ...this.of(sub)].slice(0, MAX_ORDERS))
    return placed
  }

  /** Moves one order of a person a step on. */
  advance (sub: string): Order | undefined {
    const orders = this.of(sub)
    this.#turn += 1
    const next = orders[this.#turn % orders.length]
    if (next !== undefined) next.status = STEPS[(STEPS.indexOf(next.status) + 1) % STEPS.length] ?? STEPS[0]
    return next
  }
}

function order (goods: string, minas: number, status: Order['status'], secondsAgo: number): Order {
  const placedAt = Math.floor(Date.now() / 1000) - secondsAgo
  return { id: randomUUID().slice(0, 8), goods, minas, status, placed_at: placedAt }
}
