// Serves the browser client to pages that have no bundler: a module of its own, kept until it changes.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import { endpoint } from './endpoint.ts'

export async function clientRoutes (app: FastifyInstance): Promise<void> {
  const text = await clientText()
  const hash = createHash('sha256').update(text).digest('base64url')
  const headers = {
    'content-type': 'text/javascript; charset=utf-8',
    // Asked for anew each time and seldom sent anew; under ?v=<hash> it never changes.
    'cache-control': 'no-cache',
    etag: `"${hash}"`
  }

  endpoint(app, {
    method: ['GET', 'HEAD'],
    url: '/client.js',
    handler: async (request, reply) => {
      const { v } = request.query as { v?: unknown }
      reply.headers(headers)
      if (v === hash) reply.header('cache-control', 'public, max-age=31536000, immutable')
      const known = (request.headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''))
      if (known.includes(headers.etag)) return await reply.code(304).send()
      return await reply.send(text)
    }
  })
}

/**
 * The module as it was built; where the sources run, not compiled, it is built on the spot.
 */
async function clientText (): Promise<string> {
  try {
    return await readFile(new URL('../browser/client.js', import.meta.url), 'utf8')
  } catch {
    const source = await readFile(new URL('../browser/client.ts', import.meta.url), 'utf8')
    const { default: typescript } = await import('typescript')
    const target = typescript.ScriptTarget.ES2022
    const module = typescript.ModuleKind.ESNext
    return typescript.transpileModule(source, { compilerOptions: { target, module } }).outputText
  }
}
