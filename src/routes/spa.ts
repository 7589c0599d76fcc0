// The app itself: its files, with index.html for navigations to paths that are no file.
import { resolve } from 'node:path'
import staticFiles from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { BullaError } from '../lib/errors.ts'
import { isNavigation } from '../security/navigation.ts'
import { APP_CSP } from '../security/response-policy.ts'

/** A file name with a hash of 8 or more characters before its extension never changes. */
const HASHED = /[.-](?=[A-Za-z0-9_-]*\d)[A-Za-z0-9_-]{8,}\.[a-z0-9]+$/

export async function spaRoutes (app: FastifyInstance, options: { folder: string }): Promise<void> {
  await app.register(staticFiles, {
    root: resolve(options.folder),
    dotfiles: 'ignore',
    wildcard: true,
    index: 'index.html',
    cacheControl: false,
    setHeaders: (reply, path) => {
      reply.header('cache-control', HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache')
      reply.header('x-content-type-options', 'nosniff')
      reply.header('referrer-policy', 'same-origin')
      reply.header('cross-origin-opener-policy', 'same-origin')
      if (path.endsWith('.html')) reply.header('content-security-policy', APP_CSP)
    }
  })
  app.setNotFoundHandler(async (request, reply) => {
    if ((request.method === 'GET' || request.method === 'HEAD') && isNavigation(request.headers)) {
      return await reply.sendFile('index.html')
    }
    throw new BullaError('not_found')
  })
}
