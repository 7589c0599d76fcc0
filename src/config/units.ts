// Setting values as text (from the environment) or with units (from a file) become numbers, flags and lists.
import type { TSchema } from 'typebox'
import { parseDuration, parseSize } from '../lib/units.ts'

interface Node extends TSchema {
  properties?: Record<string, Node>
  patternProperties?: Record<string, Node>
  items?: Node
  type?: string
  unit?: string
}

/**
 * Converts every value that the schema gives a unit, and text where it wants a number, a flag or a list.
 * What cannot be read is reported and left out.
 *
 * @param schema the schema of the value
 * @param value as found
 * @param path the setting's path, for messages
 * @param problems where faults are added
 */
export function convertUnits (schema: TSchema, value: unknown, path: string, problems: string[]): unknown {
  const node = schema as Node
  if (node.unit === 'part' && typeof value === 'string') return { path: value }
  if (node.patternProperties !== undefined) return convertRecord(node, value, path, problems)
  if (node.properties !== undefined) return convertObject(node, value, path, problems)
  if (node.unit === 'routes' && typeof value === 'string') return convertUnits(node, shortRoutes(value), path, problems)
  if (node.unit === 'list' && typeof value === 'string') return splitList(value)
  if (node.type === 'array' && node.items !== undefined && Array.isArray(value)) {
    const { items } = node
    return value.map((item: unknown, index) => convertUnits(items, item, `${path}.${index}`, problems))
  }
  return convertScalar(node, value, path, problems)
}

function convertObject (node: Node, value: unknown, path: string, problems: string[]): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const converted: Record<string, unknown> = { ...value }
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    if (!(name in converted)) continue
    converted[name] = convertUnits(child, converted[name], path === '' ? name : `${path}.${name}`, problems)
  }
  return converted
}

/** A record has one schema for whatever names it holds; texts in it are left as they are. */
function convertRecord (node: Node, value: unknown, path: string, problems: string[]): unknown {
  const [child] = Object.values(node.patternProperties ?? {})
  if (child?.type !== 'object' || typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) =>
    [name, convertUnits(child, item, `${path}.${name}`, problems)]))
}

function convertScalar (node: Node, value: unknown, path: string, problems: string[]): unknown {
  if (typeof value !== 'string') return value
  if (node.unit === 'port' && value === 'off') return -1
  const trimmed = value.trim()
  if (node.unit === 'duration') {
    return parseDuration(trimmed) ?? report(problems, `${path} must be a duration such as 90s, 15m, 12h or 7d.`)
  }
  if (node.unit === 'size') {
    return parseSize(trimmed) ?? report(problems, `${path} must be a size such as 4096 or 10mb.`)
  }
  if (node.type === 'integer') {
    return /^\d{1,9}$/.test(trimmed) ? Number(trimmed) : report(problems, `${path} must be a whole number.`)
  }
  if (node.type === 'boolean') {
    if (trimmed === 'true' || trimmed === '1') return true
    return trimmed === 'false' || trimmed === '0' ? false : report(problems, `${path} must be true or false.`)
  }
  return node.unit === 'secret' ? value : trimmed
}

function report (problems: string[], problem: string): undefined {
  problems.push(problem)
}

function splitList (value: string): string[] {
  return value.split(',').map((item) => item.trim()).filter((item) => item !== '')
}

/** `/api=https://api.internal,/files=https://files.internal` as route objects. */
function shortRoutes (value: string): unknown[] {
  return splitList(value).map((item) => {
    const equals = item.indexOf('=')
    if (equals < 0) return { prefix: item }
    return { prefix: item.slice(0, equals).trim(), upstream: item.slice(equals + 1).trim() }
  })
}
