// Environment variables become settings: every scalar and list of the schema has a variable of its own.
import type { TSchema } from 'typebox'
import { nearest } from './nearest.ts'

/** Names that differ from `BULLA_` + the setting's path. */
const SHORT_NAMES: Readonly<Record<string, string>> = { host: 'HOST', port: 'PORT' }

/** Variables that are no settings. */
const OTHER_VARIABLES = ['BULLA_CONFIG']

interface Node extends TSchema { properties?: Record<string, Node>, type?: string }

/**
 * The settings that the environment holds. An empty variable counts as unset; a `BULLA_` variable that
 * names no setting is a problem.
 *
 * @param schema the schema of all settings
 * @param env the environment
 * @param problems where faults are added
 * @returns settings in the shape of the file, values still text
 */
export function fromEnvironment (
  schema: TSchema, env: Readonly<Record<string, string | undefined>>, problems: string[]
): Record<string, unknown> {
  const variables = variablesOf(schema as Node)
  const settings: Record<string, unknown> = {}
  for (const [variable, path] of variables) {
    const value = env[variable]
    if (value !== undefined && value !== '') place(settings, path, value)
  }
  const known = [...variables.keys(), ...OTHER_VARIABLES]
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith('BULLA_') || known.includes(variable)) continue
    const guess = nearest(variable, known)
    problems.push(`${variable} is no variable of Bulla${guess === undefined ? '.' : `: did you mean ${guess}?`}`)
  }
  return settings
}

/**
 * The environment variable of every setting that has one.
 *
 * @param schema the schema of all settings
 * @returns variable name → path of the setting
 */
export function variablesOf (schema: TSchema): Map<string, string[]> {
  const found = new Map<string, string[]>()
  collect(schema as Node, [], found)
  return found
}

function collect (node: Node, path: string[], found: Map<string, string[]>): void {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const here = [...path, name]
    if (child.properties !== undefined) collect(child, here, found)
    else if (child.type !== 'object') found.set(variableName(here), here)
  }
}

function variableName (path: string[]): string {
  const joined = path.join('_')
  return SHORT_NAMES[joined] ?? `BULLA_${joined.toUpperCase()}`
}

function place (settings: Record<string, unknown>, path: string[], value: string): void {
  let target = settings
  for (const name of path.slice(0, -1)) target = (target[name] ??= {}) as Record<string, unknown>
  target[path.at(-1) ?? ''] = value
}
