// What coverage is measured of: the product, whichever test runs; not demo, benches and test support.
import { readdirSync } from 'node:fs'

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.startsWith('browser'))
  .map((path) => `src/${path}`)

export default () => sources
