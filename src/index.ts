// The public API: Bulla as a Fastify plugin, its configuration, its server and its errors.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { loadConfig } from './config/load.ts'
import { hostAppPlugin } from './plugins/host-app.ts'
import { registerBulla, type Dependencies } from './server.ts'

export { ConfigError, loadConfig, type ConfigSource } from './config/load.ts'
export type { Config, RouteConfig, Settings } from './config/schema.ts'
export { BullaError, type ErrorCode, type Problem } from './lib/errors.ts'
export { buildServer, type Dependencies, type Server } from './server.ts'
export type { RevocableSession, Revocation, RevocationKind, RevocationList } from './session/revocation-list.ts'
export type { Session } from './session/session.ts'

/** The plugin's options: the settings of the configuration file, and stand-ins for tests. */
export interface BullaOptions extends Readonly<Record<string, unknown>> {
  /** Clock and fetch in place of the real ones. */
  readonly deps?: Dependencies
}

/**
 * Bulla as a plugin of your own Fastify app: its endpoints and routes, `request.session` in your handlers,
 * and `app.csrfGuard`, an `onRequest` hook for those of your routes that use the session.
 *
 * @example
 * await app.register(bulla, { public_url: 'https://app.example', issuer: 'https://id.example', … })
 * app.get('/report', { onRequest: app.csrfGuard }, async (request) => report(request.session?.subject))
 * @throws {ConfigError} with all problems of the settings at once
 */
export const bulla = fp(async function bulla (app: FastifyInstance, options: BullaOptions) {
  const { deps = {}, ...settings } = options
  const config = loadConfig({ settings })
  await registerBulla(app, config, deps)
  await app.register(hostAppPlugin, { config })
}, { name: 'bulla', fastify: '5.x' })

export default bulla
