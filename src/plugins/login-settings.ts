// What the settings decide of every login: where it may end, by which address and mode its answer comes.
import type { Config } from '../config/schema.ts'
import type { BullaError } from '../lib/errors.ts'
import type { ResponseMode } from '../oidc/authorize.ts'
import { acceptedReturnTo, createReturnToPolicy, isRoutePath } from '../security/return-to.ts'

/** The decisions; `viaApp`: the answer comes by way of the app's own page. */
export interface LoginSettings {
  responseMode (viaApp: boolean): ResponseMode
  redirectUri (viaApp: boolean): string
  /** An acceptable local path: the one asked for, else the default page (no error oracle). */
  returnTo (value: unknown): string
  /** Whether a path is an API route, which answers same-origin navigations only. */
  isRoute (path: string): boolean
  /** The same error, its page and body saying where to try again, and the page the way back. */
  withWayOn (error: BullaError, returnTo: unknown): BullaError
}

/**
 * Decides what the settings decide.
 *
 * @param config of the deployment
 * @param callbackUri where the provider sends navigations
 */
export function createLoginSettings (config: Config, callbackUri: string): LoginSettings {
  const policy = createReturnToPolicy(config.public_url, config.base_path, config.routes)
  const modes = { app: appMode(config.response_mode), navigation: config.response_mode }
  const appUri = config.spa_redirect_uri === undefined ? '' : new URL(config.spa_redirect_uri, config.public_url).href
  const returnTo = (value: unknown): string =>
    (typeof value === 'string' ? acceptedReturnTo(value, policy) : null) ?? config.default_return_to
  return {
    responseMode: (viaApp) => viaApp ? modes.app : modes.navigation,
    redirectUri: (viaApp) => viaApp ? appUri : callbackUri,
    returnTo,
    isRoute: (path) => isRoutePath(path, policy),
    withWayOn: (error, wanted) => error.with({
      loginUrl: `${config.base_path}/login?${new URLSearchParams({ return_to: returnTo(wanted) }).toString()}`,
      backUrl: config.default_return_to
    })
  }
}

/** A form cannot be posted to a page of the app: its answers come in the address. */
function appMode (mode: ResponseMode): ResponseMode {
  if (mode === 'form_post') return 'query'
  return mode === 'form_post.jwt' ? 'jwt' : mode
}
