// The nearest known name to a mistyped one, for messages that help.

/**
 * The known name that differs least from the given one.
 *
 * @param name what was written
 * @param known the names there are
 * @returns the nearest by edit distance, or `undefined` if none is near
 */
export function nearest (name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name, candidate)
    if (distance < least) {
      least = distance
      best = candidate
    }
  }
  return best
}

/** Levenshtein's distance, one row of the table at a time. */
function editDistance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...a].entries()) {
    let left = i + 1
    row = row.map((above, j) => {
      const diagonal = j === 0 ? 0 : Number(row[j - 1]) + Number(letter !== b[j - 1])
      left = j === 0 ? left : Math.min(diagonal, above + 1, left + 1)
      return left
    })
  }
  return Number(row.at(-1))
}
