// Every setting: its type, default, unit and one sentence; the loader, the plugin and the docs read this.
import { Type, type Static } from 'typebox'
import { parseDuration, parseSize } from '../lib/units.ts'

const duration = (fallback: string, description: string) =>
  Type.Integer({ unit: 'duration', default: parseDuration(fallback), written: fallback, minimum: 0, description })
const size = (fallback: string, description: string, maximum = Number.MAX_SAFE_INTEGER) =>
  Type.Integer({ unit: 'size', default: parseSize(fallback), written: fallback, minimum: 1, maximum, description })
const list = (fallback: string[], description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { unit: 'list', default: fallback, description })
const text = (description: string, fallback?: string) =>
  Type.String({ minLength: 1, description, ...(fallback === undefined ? {} : { default: fallback }) })
const secret = (description: string) => Type.String({ unit: 'secret', minLength: 1, description })
const choice = <const V extends string[]>(
  values: readonly [...V], fallback: V[number], description: string
) => Type.Enum(values, { default: fallback, description })
const flag = (fallback: boolean, description: string) => Type.Boolean({ default: fallback, description })
const port = (fallback: number, description: string) =>
  Type.Integer({ unit: 'port', default: fallback, minimum: 0, maximum: 65_535, description })

const headerChanges = Type.Object({
  set: Type.Record(Type.String(), Type.String(), { default: {}, description: 'Headers to set, by name.' }),
  remove: list([], 'Header names to remove.')
}, { additionalProperties: false, default: {} })

const optional = (description: string) => Type.Optional(text(description))

/** What a token is asked for: an API by its URI or its name, and what may be done there. */
const tokenTarget = {
  resource: optional('The resource indicator: the absolute URI of the API (RFC 8707).'),
  audience: optional('The audience, for authorization servers that go by names.'),
  scope: optional('The scope, space-separated.')
}

/** One part of an aggregate; in the file the path alone will do. */
const partSchema = Type.Object({
  path: text('The path of the call, under a route.'),
  optional: Type.Optional(Type.Boolean({ description: 'Whether the whole may succeed without it. Default: false.' }))
}, { unit: 'part', additionalProperties: false })

/** One proxied route. */
export const routeSchema = Type.Object({
  prefix: text('The path under which the browser calls, such as /api/orders; the longest matching prefix wins.'),
  upstream: text('The API: an http or https URL, with an optional base path.'),
  rewrite_prefix: Type.Optional(Type.String({ description: 'What stands upstream in place of the prefix.' })),
  token: choice(['user', 'optional', 'client', 'none'], 'user',
    'user: 401 without session; optional: the token if there is a session; client: a token of the client itself (client credentials); none: never a token.'),
  ...tokenTarget,
  exchange: Type.Optional(Type.Object(tokenTarget, {
    additionalProperties: false, description: 'The session\'s token is exchanged for one of this API (RFC 8693): what that one is for.'
  })),
  methods: list(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'], 'The methods that are forwarded.'),
  csrf: choice(['header', 'fetch-metadata'], 'header',
    'header: the CSRF header is required; fetch-metadata: Sec-Fetch-Site or Origin stands in for it.'),
  websocket: flag(false, 'Lets WebSockets through: the Origin must be the app\'s own, and they end with the session.'),
  websocket_max_message: size('1mb', 'The largest WebSocket message, either way; a larger one closes the socket with 1009.'),
  timeout: duration('30s', 'Time to the first byte of the answer; a live stream is never cut.'),
  body_limit: size('10mb', 'The largest request body.'),
  retry: choice(['none', 'connect'], 'none',
    'connect: an idempotent call without body is repeated once when the connection to the upstream fails.'),
  via: flag(false, 'Adds a Via header to the request.'),
  encoded_slashes: flag(false, 'Lets %2f through.'),
  html: flag(false, 'Lets HTML, XML and SVG of this route act as documents of the app\'s origin.'),
  request_headers: headerChanges,
  response_headers: headerChanges,
  cache: choice(['no-store', 'private', 'public'], 'no-store',
    'What becomes of the upstream\'s caching: private lets private caching through, public needs token: none.')
}, { additionalProperties: false })

/** The whole configuration, as the file has it. */
export const configSchema = Type.Object({
  public_url: Type.String({ unit: 'origin', description: 'The app\'s origin as browsers see it: https, or http on loopback.' }),
  host: text('The address that the public listener binds to.', '0.0.0.0'),
  port: port(3000, 'The port of the public listener; 0 takes any free one.'),
  issuer: Type.String({ unit: 'url', description: 'The issuer identifier of the authorization server, character by character.' }),
  client_id: text('The client identifier that the authorization server knows.'),
  client_secret: Type.Optional(secret('The client secret.')),
  client_secret_file: Type.Optional(text('A file that holds the client secret.')),
  client_auth: choice(['client_secret_basic', 'client_secret_post', 'private_key_jwt'], 'client_secret_basic',
    'How the client authenticates at the authorization server.'),
  client_key: Type.Optional(secret('The private key for private_key_jwt: a JWK or a PEM.')),
  client_key_file: Type.Optional(text('A file that holds the client key.')),
  scope: text('The scope that logins ask for; openid is part of it.', 'openid profile email offline_access'),
  authorization_params: Type.Record(Type.String(), Type.String(),
    { default: {}, description: 'Constants added to the authorization request, such as audience.' }),
  login_params: list(['prompt', 'login_hint', 'ui_locales', 'acr_values', 'max_age'],
    'The authorization parameters that a caller of login may pass.'),
  response_mode: choice(['query', 'form_post', 'jwt', 'form_post.jwt'], 'query',
    'How the answer to a login comes back: in the address, as a form, or signed.'),
  userinfo: flag(false, 'Also reads claims from the userinfo endpoint.'),
  third_party_login: flag(false, 'Lets the authorization server or a portal start logins (OpenID Connect Core, section 4).'),
  id_token_signing_alg: list(['RS256'], 'The algorithms that an ID token may be signed with.'),
  claims: list(['name', 'preferred_username', 'email', 'picture', 'roles', 'groups'],
    'The ID token claims that the session keeps and shows.'),
  keys: Type.Optional(Type.Array(Type.String(), {
    unit: 'list', secret: true, description: 'The key ring: base64url 32-byte keys; the first seals, all open.'
  })),
  keys_file: Type.Optional(text('A file with the key ring, one key a line or comma-separated.')),
  routes: Type.Array(routeSchema, { unit: 'routes', default: [], description: 'What is forwarded, and where to.' }),
  aggregates: Type.Record(Type.String(), Type.Record(Type.String(), partSchema), {
    default: {}, description: 'Several calls answered as one at /bff/aggregate/<name>: by name, the path of each part.'
  }),
  spa: Type.Optional(text('The app itself: a folder of files, or the URL of a development server.')),
  spa_gate: flag(false, 'Serves the documents of the app to people who are logged in only; others are sent to login.'),
  spa_redirect_uri: Type.Optional(text('The page of the app that takes the answer of a login which the app drives itself: a local path or a URL.')),
  base_path: text('The path under which the endpoints of Bulla stand.', '/bff'),
  default_return_to: text('Where a login ends that named no acceptable return_to: a local path.', '/'),
  post_logout_page: text('Where a logout ends: a local path.', '/'),
  backchannel_logout: flag(true,
    'Offers /bff/backchannel-logout. Turn it off where several replicas run without peers or a list of their own.'),
  peers: list([],
    'Who is told of a back-channel logout: dns:host:port, a name whose every address is a replica, or origins.'),
  clear_site_data: list(['cache', 'storage'], 'What Clear-Site-Data names at logout: cache, storage; or off.'),
  session: Type.Object({
    max_age: duration('12h', 'The absolute lifetime of a session.'),
    idle_timeout: duration('off', 'The time without activity after which a session ends; off: never.')
  }, { additionalProperties: false, default: {} }),
  refresh: Type.Object({
    mode: choice(['server', 'browser'], 'server',
      'Who refreshes: any request that finds the access token old, or only the browser client, under a lock.'),
    ahead: duration('60s', 'How long before the access token\'s expiry it is refreshed; at most a fifth of its lifetime.')
  }, { additionalProperties: false, default: {} }),
  cookie: Type.Object({
    prefix: Type.Optional(text('The prefix of every cookie name; __Host-Http-bulla, or bulla over http://localhost.')),
    same_site: choice(['strict', 'lax'], 'strict', 'SameSite of the session cookies.'),
    budget: size('7000', 'The most bytes that the cookies of a session may take together, names included.', 14_000)
  }, { additionalProperties: false, default: {} }),
  csrf: Type.Object({
    header: text('The name of the CSRF header.', 'x-csrf')
  }, { additionalProperties: false, default: {} }),
  allowed_origins: list([], 'Further origins whose apps may call: exact, answered by CORS, and for WebSockets.'),
  routing_cookie: flag(false, 'Sets a random cookie at login, for load balancers that hash on a cookie.'),
  trusted_proxies: list([], 'Addresses or CIDR ranges whose X-Forwarded-* headers are believed.'),
  upstream_ca: Type.Optional(text('A file with further CA certificates for upstreams.')),
  issuer_ca: Type.Optional(text('A file with further CA certificates for the authorization server.')),
  admin: Type.Object({
    host: text('The address that the admin listener binds to.', '127.0.0.1'),
    port: Type.Integer({
      unit: 'port', default: 9464, minimum: -1, maximum: 65_535, description: 'The admin listener: 0 any free port, off none.'
    })
  }, { additionalProperties: false, default: {} }),
  log: Type.Object({
    level: choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info', 'How much is logged.')
  }, { additionalProperties: false, default: {} })
}, { additionalProperties: false })

/** One route, checked and with defaults filled in. */
export type RouteConfig = Static<typeof routeSchema>

/** The settings of a file: checked, defaults filled in, durations in seconds, sizes in bytes. */
export type Settings = Static<typeof configSchema>

/** The configuration that the product runs on: {@link Settings} plus what the loader resolved. Frozen. */
export interface Config extends Settings {
  readonly keys: string[]
}

/** `admin.port` of a configuration without an admin listener (`off`). */
export const ADMIN_OFF = -1
