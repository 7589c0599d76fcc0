// The sources as plain JavaScript, for replicas in processes of their own: compiling in each of them takes
// too long.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import typescript from 'typescript'

const SRC = fileURLToPath(new URL('../../src', import.meta.url))

/**
 * Writes `src/` as JavaScript.
 *
 * @param folder where; inside of the repository, so that packages are found
 * @returns the path of `main.js`
 */
export function compileSources (folder: string): string {
  const compilerOptions = {
    target: typescript.ScriptTarget.ES2023,
    module: typescript.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true
  }
  for (const name of readdirSync(SRC, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue
    const file = join(folder, name.replace(/\.ts$/, '.js'))
    const { outputText } = typescript.transpileModule(readFileSync(join(SRC, name), 'utf8'), { compilerOptions })
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, outputText)
  }
  return join(folder, 'main.js')
}
