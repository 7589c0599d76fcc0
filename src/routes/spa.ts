// The app itself: its files, with index.html for navigations to paths that are no file.
import { realpathSync } from 'node:fs'
import { join, resolve, sep } from 'node:path'
import staticFiles from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { BullaError } from '../lib/errors.ts'
import { isNavigation } from '../security/navigation.ts'
import { appHeaders, documentHeadersFor } from '../security/response-policy.ts'

/** A file name with a hash of 8 or more characters before its extension never changes. */
const HASHED = /[.-](?=[A-Za-z0-9_-]*\d)[A-Za-z0-9_-]{8,}\.[a-z0-9]+$/

/** Paths that no file of the app has: dot files, traversal, and what parsers read differently. */
const NO_FILE = /(?:^|[/\\])\.|[\\\0]|%(?:00|2e|2f|5c)/i

/** What the routes are handed. */
export interface SpaRoutesOptions {
  readonly folder: string
  readonly publicUrl: string
}

export async function spaRoutes (app: FastifyInstance, options: SpaRoutesOptions): Promise<void> {
  const root = realpathSync(resolve(options.folder))
  const common = appHeaders(options.publicUrl)
  await app.register(staticFiles, {
    root,
    dotfiles: 'ignore',
    wildcard: true,
    index: 'index.html',
    cacheControl: false,
    allowedPath: (path, _root, request) => !NO_FILE.test(pathOf(request.raw.url)) && isInside(root, path),
    setHeaders: (reply, path) => {
      for (const [name, value] of Object.entries(common)) reply.header(name, value)
      reply.header('cache-control', HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache')
      if (!path.endsWith('.html')) return
      const headers = documentHeadersFor(app.oidc.provider)
      for (const [name, value] of Object.entries(headers)) reply.header(name, value)
    }
  })

  app.setNotFoundHandler(async (request, reply) => {
    const path = pathOf(request.raw.url)
    const isPage = (request.method === 'GET' || request.method === 'HEAD') && isNavigation(request.headers)
    if (!isPage || NO_FILE.test(path) || leadsOutside(root, path)) throw new BullaError('not_found')
    return await reply.sendFile('index.html')
  })
}

function pathOf (url: string | undefined): string {
  return (url ?? '/').split(/[?#]/, 1)[0] ?? '/'
}

/**
 * Whether a path names a file of the folder, after all links; what does not exist is left to the file
 * server.
 */
function isInside (root: string, path: string): boolean {
  const real = realPath(join(root, path))
  return real === null || real === root || real.startsWith(root + sep)
}

/** A link that leaves the folder is no page of the app either. */
function leadsOutside (root: string, path: string): boolean {
  try {
    return !isInside(root, decodeURIComponent(path))
  } catch {
    return true
  }
}

function realPath (path: string): string | null {
  try {
    return realpathSync(path)
  } catch {
    return null
  }
}
