// Holds the direction of imports, the size of files and the first line of each.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, sep } from 'node:path'
import t from 'tap'
import { fromRoot } from './support/root.ts'

const SRC = fromRoot('src')

/** What each room may import. The rooms further down know nothing of those further up. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'main.ts': ['cli'],
  'index.ts': ['server.ts', 'plugins', 'config', 'session', 'lib'],
  cli: ['cli', 'server.ts', 'config', 'session', 'oidc', 'lib'],
  'server.ts': ['plugins', 'routes', 'config', 'oidc', 'proxy', 'security', 'session', 'lib'],
  routes: ['routes', 'plugins', 'config', 'session', 'oidc', 'proxy', 'security', 'lib'],
  plugins: ['plugins', 'config', 'session', 'oidc', 'proxy', 'security', 'lib'],
  config: ['config', 'lib'],
  session: ['session', 'lib'],
  oidc: ['oidc', 'lib'],
  proxy: ['proxy', 'lib'],
  security: ['security', 'lib'],
  browser: [],
  lib: ['lib']
}

/** What the pure rooms may know of one another: types, and the names of cookies. */
const SHARED = ['session/session.ts', 'session/cookies.ts', 'config/schema.ts']

interface Import { readonly from: string, readonly to: string, readonly isType: boolean }

const files = sources(SRC)
const imports = files.flatMap(importsOf)

t.test('imports go one way', async (t) => {
  for (const { from, to, isType } of imports) {
    if (!to.startsWith('.')) continue
    const target = relative(SRC, normalize(join(dirname(from), to))).replaceAll(sep, '/')
    const room = roomOf(relative(SRC, from).replaceAll(sep, '/'))
    const allowed = MAY_IMPORT[room]?.includes(roomOf(target)) === true || (SHARED.includes(target) && room !== 'browser')
    t.ok(allowed, `${relative(SRC, from)} may import ${isType ? 'the types of ' : ''}${target}`)
  }
})

t.test('session, oidc, proxy, security and lib know Fastify by its types only', async (t) => {
  for (const { from, to, isType } of imports) {
    const room = roomOf(relative(SRC, from).replaceAll(sep, '/'))
    if (!['session', 'oidc', 'proxy', 'security', 'lib'].includes(room)) continue
    if (/^(?:fastify|fastify-plugin|@fastify\/.+)$/.test(to)) t.ok(isType, `${relative(SRC, from)} imports only types of ${to}`)
  }
})

t.test('the process is read in main.ts only', async (t) => {
  for (const file of files.filter((file) => !file.endsWith('main.ts'))) {
    t.notMatch(readFileSync(file, 'utf8'), /\bprocess\.(?:env|argv)\b(?!`)/, relative(SRC, file))
  }
})

t.test('no file is crowded, and each says first what it is for', async (t) => {
  for (const file of files) {
    const lines = readFileSync(file, 'utf8').split('\n')
    t.ok(lines.length <= 251, `${relative(SRC, file)} has at most 250 lines (${lines.length - 1})`)
    const first = lines[0]?.startsWith('#!') === true ? lines[1] : lines[0]
    t.match(first, /^\/\/ [A-Z`].*[.:;,\w]$/, `${relative(SRC, file)} begins with a sentence`)
  }
})

t.test('no module imports itself by a detour', async (t) => {
  const graph = new Map<string, string[]>(files.map((file) => [file, []]))
  for (const { from, to, isType } of imports) {
    if (to.startsWith('.') && !isType) graph.get(from)?.push(normalize(join(dirname(from), to)))
  }
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      t.fail([...path, file].map((step) => relative(SRC, step)).join(' -> '))
      return
    }
    if (done.has(file)) return
    for (const next of graph.get(file) ?? []) walk(next, [...path, file])
    done.add(file)
  }
  files.forEach((file) => { walk(file, []) })
  t.equal(done.size, files.length)
})

function sources (folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? sources(path) : path.endsWith('.ts') ? [path] : []
  })
}

function importsOf (file: string): Import[] {
  const source = readFileSync(file, 'utf8')
  return [...source.matchAll(/^(?:import|export)\s+(type\s+)?(?:([^'"]*?)\s+from\s+)?'([^']+)'/gm)].map((match) => ({
    from: file,
    to: match[3] ?? '',
    isType: match[1] !== undefined || isOnlyTypes(match[2] ?? '')
  }))
}

function isOnlyTypes (clause: string): boolean {
  const names = /^\{([^}]*)\}$/.exec(clause.trim())?.[1]?.split(',').map((name) => name.trim()).filter((name) => name !== '')
  return names !== undefined && names.length > 0 && names.every((name) => name.startsWith('type '))
}

function roomOf (path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path
}
