// Logging in: the start, the callback, the way on, the app-driven pair, and logins that others start.
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/schema.ts'
import type { Clock } from '../lib/clock.ts'
import { createLoginFlow } from '../plugins/login-flow.ts'
import { appLoginRoutes } from './login-app.ts'
import { callbackRoutes } from './login-callback.ts'
import { continueRoutes } from './login-continue.ts'
import { outcomeRoutes } from './login-outcome.ts'
import { startRoutes } from './login-start.ts'
import { thirdPartyRoutes } from './login-third-party.ts'

/** What the routes are handed. */
export interface LoginRoutesOptions { readonly config: Config, readonly clock: Clock }

export async function loginRoutes (app: FastifyInstance, options: LoginRoutesOptions): Promise<void> {
  const { config, clock } = options
  const flow = createLoginFlow({
    config, clock, oidc: app.oidc, sessions: app.sessions, revocations: app.revocations, log: app.log
  })
  await app.register(startRoutes, { config, flow })
  await app.register(callbackRoutes, { config, flow })
  await app.register(continueRoutes, { config, flow })
  if (config.spa_redirect_uri !== undefined) await app.register(appLoginRoutes, { config, clock, flow })
  if (config.third_party_login) await app.register(thirdPartyRoutes, { config, flow })
  await app.register(outcomeRoutes)
}
