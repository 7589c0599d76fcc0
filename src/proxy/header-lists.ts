// The headers that do not pass, each list with its reason.

/** Headers of one connection only. @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer',
  'transfer-encoding', 'upgrade', 'http2-settings'
])

/**
 * The headers that a `Connection` header declares to be of this connection only.
 *
 * @param value of the `Connection` header, all lines joined
 * @returns names in lower case, or `null` if it names none beyond `keep-alive` and `close`
 */
export function connectionNames (value: string | undefined): ReadonlySet<string> | null {
  if (value === undefined || value === 'keep-alive' || value === 'Keep-Alive' || value === 'close') return null
  return new Set(value.toLowerCase().split(',').map((name) => name.trim()))
}

/**
 * What the browser may not say to an API: credentials, who it is, where it comes from, another method or
 * path.
 */
export const DROPPED_REQUEST: ReadonlySet<string> = new Set([
  'host', 'cookie', 'cookie2', 'authorization', 'dpop', 'expect', 'content-length', 'forwarded', 'x-forwarded', 'via',
  'x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'true-client-ip', 'cf-connecting-ip', 'fastly-client-ip', 'client-ip',
  'x-originating-ip', 'x-remote-ip', 'x-remote-addr', 'x-http-method', 'x-http-method-override', 'x-method-override',
  'x-original-url', 'x-rewrite-url', 'x-original-uri', 'x-original-host', 'x-host', 'x-auth-request-redirect',
  'remote-user', 'remote-groups', 'remote-name', 'remote-email', 'x-remote-user', 'x-remote-group', 'x-user', 'x-user-id', 'x-username', 'x-userinfo', 'x-user-info', 'x-email', 'x-groups', 'x-roles',
  'x-authenticated-user', 'x-authenticated-userid', 'x-authenticated-groups', 'x-consumer-id', 'x-consumer-username',
  'x-consumer-custom-id', 'x-credential-identifier', 'x-id-token', 'x-access-token', 'x-jwt-payload', 'x-jwt-assertion',
  'x-ssl-client-cert', 'x-ssl-client-verify', 'x-ssl-client-dn', 'ssl-client-cert', 'x-client-cert', 'client-cert',
  'client-cert-chain', 'x-envoy-original-path', 'x-envoy-internal', 'x-envoy-external-address', 'x-apigateway-api-userinfo',
  'x-endpoint-api-userinfo', 'x-ms-client-principal', 'x-ms-client-principal-id', 'x-ms-client-principal-name',
  'x-amzn-oidc-data', 'x-amzn-oidc-identity', 'x-amzn-oidc-accesstoken', 'x-hasura-role', 'x-hasura-user-id'
])

/** Beginnings of such names. */
export const DROPPED_REQUEST_PREFIXES: readonly string[] = [
  'x-forwarded-', 'x-auth-request-', 'x-goog-authenticated-user-', 'x-goog-iap-', 'oidc-', 'x-oidc-', 'x-pomerium-', 'x-vouch-',
  'x-webauth-', 'x-token-', 'x-authentik-', 'x-appengine-', 'x-remote-extra-', 'x-ms-token-', 'cf-access-', 'tailscale-user-',
  'impersonate-', 'bulla-'
]

/** What an API may not say to the browser in our name. */
export const DROPPED_RESPONSE: ReadonlySet<string> = new Set([
  'set-cookie', 'set-cookie2', 'www-authenticate', 'clear-site-data', 'strict-transport-security', 'public-key-pins',
  'public-key-pins-report-only', 'service-worker-allowed', 'refresh', 'server', 'x-powered-by', 'via', 'alt-svc', 'bulla-error',
  'expect-ct', 'nel', 'report-to', 'reporting-endpoints', 'content-location', 'sourcemap', 'x-sourcemap', 'surrogate-control',
  'cdn-cache-control', 'cloudflare-cdn-cache-control', 'x-accel-redirect', 'x-accel-buffering', 'x-sendfile', 'x-aspnet-version',
  'x-aspnetmvc-version', 'x-runtime', 'timing-allow-origin', 'origin-agent-cluster', 'set-login', 'speculation-rules',
  'sec-session-registration', 'activate-storage-access', 'accept-ch', 'critical-ch'
])

/** Beginnings of such names: the API's own cross-origin policy is not the app's. */
export const DROPPED_RESPONSE_PREFIXES: readonly string[] = ['access-control-', 'cross-origin-']
