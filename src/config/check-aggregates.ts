// The settings of the aggregates: names, and parts that are calls of routes.
import type { Settings } from './schema.ts'
import { arrayOf, LOCAL_PATH } from './values.ts'

/** The most parts of an aggregate: each is a call of its own. */
const MOST_PARTS = 20

/** What names an aggregate in its URL, and a part in the answer. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/

/**
 * Checks every aggregate. That a path is one that the router takes is seen when the routes are made.
 *
 * @param settings defaults filled in
 * @param problems where faults are added
 */
export function checkAggregates (settings: Settings, problems: string[]): void {
  for (const [name, parts] of Object.entries(Object(settings.aggregates) as Settings['aggregates'])) {
    const where = `aggregates.${name}`
    if (!NAME.test(name)) problems.push(`${where} must be named with 1 to 64 letters, digits, - and _.`)
    const entries = Object.entries(Object(parts) as typeof parts)
    if (entries.length < 1 || entries.length > MOST_PARTS) problems.push(`${where} must have from 1 to ${MOST_PARTS} parts.`)
    for (const [part, call] of entries) {
      if (!NAME.test(part)) problems.push(`${where}.${part} must be named with 1 to 64 letters, digits, - and _.`)
      const { path } = Object(call) as Partial<typeof call>
      if (typeof path === 'string') checkPath(path, `${where}.${part}`, settings, problems)
    }
  }
}

function checkPath (path: string, where: string, settings: Settings, problems: string[]): void {
  const [bare = ''] = path.split('?', 1)
  if (!LOCAL_PATH.test(path) || path.includes('#') || bare.includes('%') || /\/(?:\.{0,2})(?:\/|$)/.test(bare)) {
    problems.push(`${where} must be a plain path such as /api/orders?limit=5.`)
    return
  }
  const routes = arrayOf(settings.routes).filter(({ prefix }) => `${bare}/`.startsWith(`${prefix}/`))
  const route = routes.sort((a, b) => b.prefix.length - a.prefix.length)[0]
  if (route === undefined) problems.push(`${where}: no route leads to ${bare}.`)
  else if (!arrayOf(route.methods).includes('GET')) problems.push(`${where}: the route ${route.prefix} takes no GET.`)
}
