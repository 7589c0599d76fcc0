// The public API: Bulla as a Fastify plugin, its configuration, its server and its errors.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { loadConfig } from './config/load.ts'
import { registerBulla, type Dependencies } from './server.ts'

export { ConfigError, loadConfig, type ConfigSource } from './config/load.ts'
export type { Config, RouteConfig } from './config/schema.ts'
export { BullaError, type ErrorCode, type Problem } from './lib/errors.ts'
export { buildServer, type Dependencies, type Server } from './server.ts'
export type { Session } from './session/session.ts'

/** The plugin's options: the settings of the configuration file, by the same names. */
export interface BullaOptions {
  /** The settings, as they would stand in the file. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly deps?: Dependencies
}

/**
 * Bulla as a plugin of your own Fastify app: the endpoints, the routes, and `request.session` in your handlers.
 *
 * @throws {ConfigError} with all problems of the settings at once
 */
export const bulla = fp(async function bulla (app: FastifyInstance, options: BullaOptions) {
  await registerBulla(app, loadConfig({ settings: options.settings }), options.deps ?? {})
}, { name: 'bulla', fastify: '5.x' })

export default bulla
