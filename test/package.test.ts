// What ships: the Dockerfile's sources exist, the image needs no root and no development dependency.
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { fromRoot } from './support/root.ts'

const read = (name: string): string => readFileSync(fromRoot(name), 'utf8')
const dockerfile = read('Dockerfile')

t.test('every COPY of the Dockerfile has its source, and the build context lets it in', async (t) => {
  const allowed = read('.dockerignore').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1))
  for (const [, sources = ''] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
    for (const source of sources.split(' ')) {
      t.ok(existsSync(fromRoot(source)), `${source} exists`)
      t.ok(allowed.includes(source), `${source} is in the build context`)
    }
  }
})

t.test('the image\'s build has every file that the build script names', async (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const needed = [...scripts.build?.matchAll(/-p (\S+)/g) ?? []].map(([, file = '']) => file)
  t.ok(needed.length > 0)
  for (const file of needed) t.match(dockerfile, new RegExp(`^COPY .*\\b${file.replaceAll('.', '\\.')} `, 'm'))
})

t.test('the image runs as a user, with a health check, and keeps no development dependency', async (t) => {
  t.match(dockerfile, /^USER node$/m)
  t.match(dockerfile, /^HEALTHCHECK /m)
  t.match(dockerfile, /npm prune --omit=dev/)
  t.notMatch(dockerfile.slice(dockerfile.lastIndexOf('\nFROM ')), /npm (?:ci|install)/, 'the last stage installs nothing')
  const port = /ENV .*PORT=(\d+)/.exec(dockerfile)?.[1]
  t.match(dockerfile, new RegExp(`^EXPOSE ${port}$`, 'm'))
})

t.test('what the package exports is built from sources that exist', async (t) => {
  const { exports, bin, files } = JSON.parse(read('package.json')) as {
    exports: Record<string, string | Record<string, string>>, bin: Record<string, string>, files: string[]
  }
  const targets = [...Object.values(exports).flatMap((entry) => typeof entry === 'string' ? entry : Object.values(entry)),
    ...Object.values(bin)].filter((path) => path.startsWith('./dist/'))
  for (const target of targets) {
    const source = target.replace('./dist/', 'src/').replace(/\.d\.ts$|\.js$/, '.ts')
    t.ok(existsSync(fromRoot(source)), `${target} is built from ${source}`)
  }
  t.ok(files.includes('dist'))
})
