// The server's log: pino of our own. With Fastify's, each response carries two listeners for a line that is
// not written. One of them also swallowed errors of responses: whoever writes must know that it may.
import type { FastifyInstance } from 'fastify'
import { pino, type DestinationStream, type Logger, type LoggerOptions } from 'pino'
import { pathOnly } from '../lib/redact.ts'

/** pino's options, and where it writes; `false`: no log. */
export type LogOptions = LoggerOptions & { readonly stream?: DestinationStream } | false

/**
 * Gives a Fastify instance that was made without a logger its log, before anything is registered on it.
 *
 * @param app whose
 * @param options level and destination
 */
export function useLog (app: FastifyInstance, options: LogOptions): void {
  if (options === false) return
  const { stream, ...rest } = options
  const log: Logger = pino({ ...rest, serializers: { ...SERIALIZERS, ...rest.serializers } }, stream)
  app.log = log
  app.setChildLoggerFactory((_none, bindings, childOptions) => log.child(bindings, childOptions))
}

/** A URL can hold a code: the log has its path only. */
const SERIALIZERS: LoggerOptions['serializers'] = {
  req: (request: { method?: string, url?: string }) => ({ method: request.method, path: pathOnly(request.url ?? '') }),
  res: ({ statusCode }: { statusCode?: number }) => ({ statusCode })
}
