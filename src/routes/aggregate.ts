// Aggregates: several calls in parallel, through the same routes and policies, answered as one.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import { BullaError } from '../lib/errors.ts'
import { describeError } from '../lib/redact.ts'
import { accessPolicyOf, type Access, type AccessPolicy } from '../plugins/access.ts'
import { toBullaError } from '../plugins/errors.ts'
import { createGuard } from '../plugins/guard.ts'
import { callPart, type Part, type PartAnswer } from '../proxy/aggregate.ts'
import { readTarget } from '../proxy/paths.ts'
import { matchRoute, type Route } from '../proxy/routes.ts'
import { endpoint } from './endpoint.ts'
import { forwardedFor } from './forwarded-for.ts'

/** One part, ready to be called. */
interface NamedPart extends Part {
  readonly name: string
  readonly policy: AccessPolicy
  readonly isOptional: boolean
}

/** What became of a part, and the cookies that it brought. */
interface Outcome {
  readonly part: NamedPart
  readonly answer: PartAnswer | null
  /** In place of an answer. */
  readonly error: BullaError | null
  readonly access: Access | null
}

export async function aggregateRoutes (app: FastifyInstance, options: { config: Config }): Promise<void> {
  const { config } = options
  const guard = createGuard(config)
  for (const [name, settings] of Object.entries(config.aggregates)) {
    const { routes } = app.forwarding
    const parts = Object.entries(settings).map(([part, setting]) => partOf(part, setting, routes))
    endpoint(app, {
      method: 'GET',
      url: `/aggregate/${name}`,
      onRequest: guard,
      handler: async (request, reply) => {
        const outcomes = await Promise.all(parts.map(async (part) => await call(app, part, request)))
        return await answer(outcomes, reply)
      }
    })
  }
}

type PartSetting = Config['aggregates'][string][string]

function partOf (name: string, { path, optional }: PartSetting, routes: readonly Route[]): NamedPart {
  const target = readTarget(path)
  const route = target === null ? null : matchRoute(routes, target.path)
  if (target === null || route === null) throw new Error(`no route leads to ${path}`)
  return { name, route, target, policy: accessPolicyOf(route.config), isOptional: optional === true }
}

async function call (app: FastifyInstance, part: NamedPart, request: FastifyRequest): Promise<Outcome> {
  const startedAt = performance.now()
  const control = app.sessions.access
  const { socket: connection } = request.raw
  let access: Access | null = null
  try {
    access = await control.of(part.policy, request)
    if (connection.destroyed) throw new BullaError('bad_request', { cause: new Error('the client left') })
    const { session, accessToken } = access
    const answer = await callPart(app.forwarding.forwarder, part, {
      headers: request.headers,
      rawHeaders: request.raw.rawHeaders,
      connection,
      facts: { accessToken, forwardedFor: forwardedFor(request), requestId: request.id },
      session,
      renewed: async () => {
        const renewed = access === null ? null : await control.again(part.policy, request, access)
        access = renewed ?? access
        return renewed
      }
    })
    return { part, answer, error: null, access }
  } catch (thrown) {
    const error = toBullaError(thrown)
    // Of who has left there is nothing to tell.
    if (connection.destroyed) return { part, answer: null, error, access }
    app.log[error.statusCode >= 500 ? 'warn' : 'info']({
      code: error.code,
      request_id: request.id,
      route: part.route.prefix,
      part: part.name,
      duration_ms: Math.round(performance.now() - startedAt),
      ...(error.cause === undefined ? {} : { cause: describeError(error.cause) })
    }, 'a part of an aggregate failed')
    return { part, answer: null, error, access }
  }
}

/** The first required part that failed gives the status; the body holds all parts all the same. */
async function answer (outcomes: readonly Outcome[], reply: FastifyReply): Promise<FastifyReply> {
  const failed = outcomes.find((outcome) => !outcome.part.isOptional && statusOf(outcome) >= 400)
  const setCookies = newest(outcomes.flatMap(({ access, error }) =>
    [...access?.setCookies ?? [], ...error?.setCookies ?? []]))
  if (setCookies.length > 0) reply.header('set-cookie', setCookies)
  if (failed?.error != null) {
    const { code, retryAfter } = failed.error
    reply.header('bulla-error', code)
    if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  }
  reply.code(failed === undefined ? 200 : statusOf(failed)).type('application/json; charset=utf-8')
  return await reply.send(`{${outcomes.map(written).join(',')}}`)
}

function statusOf ({ answer, error }: Outcome): number {
  return error?.statusCode ?? answer?.status ?? 500
}

function written (outcome: Outcome): string {
  const { part: { name }, answer, error } = outcome
  const value = error === null
    ? `{"status":${statusOf(outcome)},"body":${answer?.body ?? 'null'}}`
    : JSON.stringify({ status: error.statusCode, error: error.code, login_url: error.loginUrl })
  return `${JSON.stringify(name)}:${value}`
}

/** Of several values of one cookie the last one counts, as in a browser. */
function newest (setCookies: readonly string[]): string[] {
  return [...new Map(setCookies.map((line) => [line.split('=', 1)[0], line])).values()]
}
