// Counts of what happened, by name, for whoever publishes them.

/** Counts what happens. */
export interface Counts<Name extends string> {
  /** `by`: how often at once; default once. */
  add (name: Name, by?: number): void
  /** How often it happened since the start. */
  readonly values: Readonly<Record<Name, number>>
}

/**
 * Creates counts, all zero.
 *
 * @param names of everything that is counted
 */
export function createCounts<const Name extends string> (names: readonly Name[]): Counts<Name> {
  const values = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>
  return { add: (name, by = 1) => { values[name] += by }, values }
}
