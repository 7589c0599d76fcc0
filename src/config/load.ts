// Settings from environment and file become one frozen Config, or one error that names every problem.
import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { Value } from 'typebox/value'
import { parseKeys } from '../lib/ring-key.ts'
import { configSchema, type Config, type Settings } from './schema.ts'
import { fromEnvironment } from './environment.ts'
import { convertUnits } from './units.ts'
import { checkSettings } from './check.ts'
import { nearest } from './nearest.ts'

/** Where the settings come from. */
export interface ConfigSource {
  /** The environment, such as `process.env`; wins over the file. Default: empty. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** The path of a YAML or JSON file. Default: the environment's `BULLA_CONFIG`, else none. */
  readonly file?: string
  /** Settings as an object, in place of a file. */
  readonly settings?: Readonly<Record<string, unknown>>
}

/** The configuration is wrong. `problems` has one sentence for each fault, naming the setting and the fix. */
export class ConfigError extends Error {
  readonly code = 'BULLA_CONFIG'
  readonly problems: readonly string[]

  constructor (problems: readonly string[]) {
    super(`The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n` +
      problems.map((problem) => `  - ${problem}`).join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/**
 * Loads and checks the configuration.
 *
 * @param source environment, file or object
 * @returns the frozen configuration, with defaults, durations in seconds and sizes in bytes
 * @throws {ConfigError} with all problems at once
 */
export function loadConfig (source: ConfigSource): Config {
  const problems: string[] = []
  const env = source.env ?? {}
  const file = source.file ?? env.BULLA_CONFIG
  const raw = source.settings === undefined
    ? readSettingsFile(file, problems)
    : structuredClone(source.settings)
  const merged = mergeSettings(raw, fromEnvironment(configSchema, env, problems))
  readSecretFiles(merged, problems)
  const settings = Value.Default(configSchema, convertUnits(configSchema, merged, '', problems)) as Settings
  problems.push(...schemaFaults(settings).filter((fault) => !isReported(fault, problems)))
  checkSettings(settings, problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return deepFreeze(settings as Config)
}

function readSettingsFile (file: string | undefined, problems: string[]): Record<string, unknown> {
  if (file === undefined || file === '') return {}
  try {
    const parsed: unknown = parseYaml(readFileSync(file, 'utf8'))
    if (isObject(parsed)) return parsed
    problems.push(`The configuration file ${file} must hold a mapping of settings.`)
  } catch (error) {
    problems.push(`The configuration file ${file} cannot be read: ${firstLine(error)}`)
  }
  return {}
}

const SECRET_SETTINGS = ['client_secret', 'client_key', 'keys'] as const

function readSecretFiles (raw: Record<string, unknown>, problems: string[]): void {
  for (const name of SECRET_SETTINGS) {
    const path = raw[`${name}_file`]
    if (typeof path !== 'string') continue
    if (raw[name] !== undefined) {
      problems.push(`${name} and ${name}_file are both set: keep one.`)
      continue
    }
    try {
      const content = readFileSync(path, 'utf8').trim()
      raw[name] = name === 'keys' ? parseKeys(content) : content
    } catch (error) {
      problems.push(`${name}_file cannot be read: ${firstLine(error)}`)
    }
  }
}

function schemaFaults (settings: unknown): string[] {
  const faults = new Set<string>()
  for (const error of Value.Errors(configSchema, settings)) {
    const path = error.instancePath.slice(1).replaceAll('/', '.')
    const where = path === '' ? '' : `${path}.`
    const params = error.params as Record<string, unknown>
    if (error.keyword === 'required') {
      for (const name of params.requiredProperties as string[]) faults.add(`${where}${name} is required.`)
    } else if (error.keyword === 'additionalProperties') {
      for (const name of params.additionalProperties as string[]) faults.add(unknownSetting(where, name))
    } else if (error.keyword === 'enum') {
      faults.add(`${path} must be one of ${(params.allowedValues as string[]).join(', ')}.`)
    } else if (error.keyword !== 'boolean') {
      faults.add(`${path} ${error.message}.`)
    }
  }
  return [...faults]
}

/** Whether a setting has a more telling complaint already. */
function isReported (fault: string, problems: string[]): boolean {
  const setting = fault.slice(0, fault.indexOf(' '))
  return problems.some((problem) => problem.startsWith(`${setting} `))
}

function unknownSetting (where: string, name: string): string {
  const known = where === '' ? Object.keys(configSchema.properties) : []
  const guess = nearest(name, known)
  return `${where}${name} is no setting${guess === undefined ? '.' : `: did you mean ${guess}?`}`
}

type Raw = Record<string, unknown>

function mergeSettings (base: Raw, over: Raw): Raw {
  const merged: Record<string, unknown> = { ...base }
  for (const [name, value] of Object.entries(over)) {
    const under = merged[name]
    merged[name] = isObject(under) && isObject(value) ? mergeSettings(under, value) : value
  }
  return merged
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function firstLine (error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}

function deepFreeze<T> (value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze)
    Object.freeze(value)
  }
  return value
}
