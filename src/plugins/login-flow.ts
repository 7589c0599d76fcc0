// One login from its start to its end, the same whether navigations or the app's own fetches drive it.
import { allowedParams } from '../oidc/authorize.ts'
import type { OwnCookies } from '../session/cookies.ts'
import { createLoginBegin, isStepUp, type Begun, type LoginWish } from './login-begin.ts'
import { createLoginEnd, type Ending, type LoginEndOptions } from './login-end.ts'
import { createLoginSettings, type LoginSettings } from './login-settings.ts'

/** Begins and ends logins. */
export interface LoginFlow extends LoginSettings {
  /**
   * Whether a login over a live session would be about the same person.
   *
   * @throws {BullaError} `bad_request` for a malformed parameter
   */
  isStepUp (query: LoginWish['query']): boolean
  /** @throws {BullaError} `bad_request`, `idp_unavailable`, `idp_misconfigured` */
  begin (wish: LoginWish): Promise<Begun>
  /** @throws {BullaError} `callback_invalid` for an answer that is malformed or not genuine */
  end (params: URLSearchParams, own: OwnCookies, viaApp: boolean): Promise<Ending>
}

/**
 * Creates the flow.
 *
 * @param options what it needs
 */
export function createLoginFlow (options: LoginEndOptions): LoginFlow {
  const { config, oidc } = options
  const settings = createLoginSettings(config, oidc.redirectUri)
  return {
    ...settings,
    isStepUp: (query) => isStepUp(allowedParams(query, config.login_params)),
    begin: createLoginBegin(options, settings),
    end: createLoginEnd(options, settings)
  }
}
