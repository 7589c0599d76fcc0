// The settings of the aggregates: names, and parts that are calls of routes.
import type { RouteConfig, Settings } from './schema.ts'
import { arrayOf, LOCAL_PATH } from './values.ts'

/** The most parts of an aggregate: each is a call of its own. */
const MOST_PARTS = 20

/** A path that every server reads the same way: no escapes, parameters, empty or dot-led segments. */
const PLAIN = /^(?:\/[\w~-][\w~.-]*)+\/?$/

/** What names an aggregate in its URL, and a part in the answer; a number would be moved to the front. */
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/

/**
 * Checks every aggregate.
 *
 * @param settings defaults filled in
 * @param problems where faults are added
 */
export function checkAggregates (settings: Settings, problems: string[]): void {
  for (const [name, parts] of Object.entries(Object(settings.aggregates) as Settings['aggregates'])) {
    const where = `aggregates.${name}`
    if (!NAME.test(name)) problems.push(`${where} must be named with a letter and up to 63 letters, digits, - and _.`)
    const entries = Object.entries(Object(parts) as typeof parts)
    if (entries.length < 1 || entries.length > MOST_PARTS) problems.push(`${where} must have from 1 to ${MOST_PARTS} parts.`)
    for (const [part, call] of entries) {
      if (!NAME.test(part)) problems.push(`${where}.${part} must be named with a letter and up to 63 letters, digits, - and _.`)
      const { path } = Object(call) as Partial<typeof call>
      if (typeof path === 'string') checkPath(path, `${where}.${part}`, settings, problems)
    }
  }
}

function checkPath (path: string, where: string, settings: Settings, problems: string[]): void {
  const [bare = ''] = path.split('?', 1)
  if (!LOCAL_PATH.test(path) || path.includes('#') || !PLAIN.test(bare)) {
    problems.push(`${where} must be a plain path such as /api/orders?limit=5.`)
    return
  }
  const leads = (route: RouteConfig): boolean => `${bare}/`.startsWith(`${Object(route).prefix}/`)
  const route = arrayOf(settings.routes).filter(leads).sort((a, b) => b.prefix.length - a.prefix.length)[0]
  if (route === undefined) problems.push(`${where}: no route leads to ${bare}.`)
  else if (!arrayOf(route.methods).includes('GET')) problems.push(`${where}: the route ${route.prefix} takes no GET.`)
}
