// The settings of logins held against one another: credentials, parameters, the app's own page.
import { readClientKey } from '../lib/client-key.ts'
import type { Settings } from './schema.ts'
import { arrayOf, LOCAL_PATH, parseUrl } from './values.ts'

/**
 * Checks everything that logins are made of.
 *
 * @param settings defaults filled in
 * @param problems where faults are added
 */
export function checkLogin (settings: Settings, problems: string[]): void {
  checkClientCredentials(settings, problems)
  checkLoginParams(settings, problems)
  checkAuthorizationParams(settings, problems)
  checkSpaRedirectUri(settings, problems)
}

function checkLoginParams (settings: Settings, problems: string[]): void {
  for (const name of arrayOf(settings.login_params)) {
    if (!LOGIN_PARAMS.includes(name)) {
      problems.push(`login_params names ${name}: only ${LOGIN_PARAMS.join(', ')} can be left to callers.`)
    }
  }
}

/** What a caller of login may ever pass; everything else of the request is the deployment's (S9, AUT-21). */
const LOGIN_PARAMS = ['prompt', 'login_hint', 'acr_values', 'max_age', 'ui_locales']

/** What authorization_params cannot set, because each login or the deployment decides it. */
const OWN_PARAMS = [
  'client_id', 'client_secret', 'redirect_uri', 'response_type', 'response_mode', 'scope', 'state', 'nonce',
  'code_challenge', 'code_challenge_method', 'request', 'request_uri'
]

function checkAuthorizationParams (settings: Settings, problems: string[]): void {
  for (const name of Object.keys(Object(settings.authorization_params))) {
    if (OWN_PARAMS.includes(name)) problems.push(`authorization_params.${name} cannot be set: Bulla sets it itself.`)
  }
}

/** The app's own page: on the app's origin, or on one that `allowed_origins` lists. */
function checkSpaRedirectUri (settings: Settings, problems: string[]): void {
  const uri = settings.spa_redirect_uri
  if (uri === undefined || typeof settings.public_url !== 'string' || !URL.canParse(settings.public_url)) return
  const { allowed_origins: allowed } = settings as { allowed_origins?: string[] }
  const origins = [new URL(settings.public_url).origin, ...arrayOf(allowed)]
  const url = parseUrl(LOCAL_PATH.test(uri) ? new URL(uri, settings.public_url).href : uri)
  if (url === null || !origins.includes(url.origin) || url.hash !== '') {
    problems.push('spa_redirect_uri must be a local path such as /signed-in, or a URL of the app\'s own or an allowed origin.')
  } else if (`${url.pathname}/`.startsWith(`${settings.base_path}/`)) {
    problems.push(`spa_redirect_uri lies under base_path ${settings.base_path}: it must be a page of the app.`)
  }
}

/** BBA-01: without credentials there is no confidential client, and no start. */
function checkClientCredentials (settings: Settings, problems: string[]): void {
  if (settings.client_auth === 'private_key_jwt') {
    if (settings.client_key === undefined) {
      problems.push('client_key is required for client_auth private_key_jwt (BULLA_CLIENT_KEY or BULLA_CLIENT_KEY_FILE).')
      return
    }
    try {
      readClientKey(settings.client_key)
    } catch (error) {
      problems.push(`client_key ${(error as Error).message}.`)
    }
  } else if (settings.client_secret === undefined) {
    problems.push('client_secret is required: Bulla is a confidential client (BULLA_CLIENT_SECRET or BULLA_CLIENT_SECRET_FILE).')
  } else if (/^(change[-_ ]?me|secret|password|client[-_]?secret)$/i.test(settings.client_secret)) {
    problems.push('client_secret is a placeholder: set the one that the authorization server issued.')
  }
}
