// The app's files: what is served, how it is kept, and what is never served.
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { build, type Built } from '../support/build.ts'
import { openRaw } from '../support/raw.ts'

async function start (t: Test): Promise<Built> {
  const folder = t.testdir({
    outside: { 'secret.txt': 'secret' },
    app: {
      'index.html': '<h1>app</h1>',
      'about.html': '<h1>about</h1>',
      'favicon.ico': 'icon',
      '.env': 'SECRET=1',
      '.git': { config: 'x' },
      assets: { 'main-B7cD9eF1.js': 'js', 'plain.js': 'js', '.hidden.js': 'x', 'logo.svg': '<svg/>' },
      'jane.doe': { 'x.txt': 'x' }
    }
  })
  symlinkSync(join(folder, 'outside'), join(folder, 'app', 'out'))
  symlinkSync(join(folder, 'outside', 'secret.txt'), join(folder, 'app', 'secret.txt'))
  symlinkSync(join(folder, 'app', 'favicon.ico'), join(folder, 'app', 'inside.ico'))
  return await build(t, { settings: { spa: join(folder, 'app') } })
}

const NAVIGATION = { accept: 'text/html,*/*', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
const OLD_NAVIGATION = { accept: 'text/html,*/*;q=0.8' }
const FETCH = { accept: '*/*', 'sec-fetch-mode': 'cors' }

async function get (built: Built, path: string, headers: Record<string, string>, method: 'GET' | 'HEAD' | 'POST' = 'GET'): Promise<{ status: number, text: string, headers: Record<string, string | string[] | undefined> }> {
  const answer = await request(built.url + path, { headers, method })
  return { status: answer.statusCode, text: await answer.body.text(), headers: answer.headers }
}

t.test('a file is served with its type, for the year if its name is hashed, else asked for again', async (t) => {
  const built = await start(t)
  const cases: Array<[string, string, string]> = [
    ['/assets/main-B7cD9eF1.js', 'public, max-age=31536000, immutable', '/javascript'],
    ['/assets/plain.js', 'no-cache', '/javascript'], ['/favicon.ico', 'no-cache', 'image'], ['/about.html', 'no-cache', 'text/html'],
    ['/', 'no-cache', 'text/html'], ['/index.html', 'no-cache', 'text/html'], ['/inside.ico', 'no-cache', 'image']
  ]
  for (const [path, caching, type] of cases) {
    for (const headers of [FETCH, {}] as Array<Record<string, string>>) {
      const answer = await get(built, path, headers)
      t.equal(answer.status, 200, path)
      t.equal(answer.headers['cache-control'], caching)
      t.match(answer.headers['content-type'], type)
      t.equal(answer.headers['x-content-type-options'], 'nosniff')
    }
  }
  const again = await get(built, '/assets/plain.js', { 'if-none-match': String((await get(built, '/assets/plain.js', {})).headers.etag) })
  t.equal(again.status, 304)
  t.equal((await get(built, '/assets/plain.js', {}, 'HEAD')).status, 200)
})

t.test('a navigation to a path that is no file gets the app, with or without Sec-Fetch headers', async (t) => {
  const built = await start(t)
  for (const path of ['/users/7', '/users/jane.doe', '/a.b/c?x=1', '/assets/missing.js', '/jane.doe']) {
    for (const headers of [NAVIGATION, OLD_NAVIGATION]) {
      const answer = await get(built, path, headers)
      t.equal(answer.status, 200, path)
      t.equal(answer.text, '<h1>app</h1>')
      t.equal(answer.headers['cache-control'], 'no-cache')
    }
    const missing = await get(built, path, FETCH)
    t.equal(missing.status, 404, path)
    t.equal(missing.headers['bulla-error'], 'not_found')
  }
  t.equal((await get(built, '/users/7', NAVIGATION, 'HEAD')).status, 200)
  t.equal((await get(built, '/users/7', NAVIGATION, 'POST')).status, 404)
})

t.test('documents carry a strict policy', async (t) => {
  const built = await start(t)
  for (const path of ['/', '/about.html', '/users/7']) {
    const { headers } = await get(built, path, NAVIGATION)
    t.match(headers['content-security-policy'], /default-src 'self'.*object-src 'none'.*frame-ancestors 'none'/)
    t.equal(headers['x-frame-options'], 'DENY')
    t.equal(headers['cross-origin-opener-policy'], 'same-origin')
    t.equal(headers['referrer-policy'], 'same-origin')
  }
})

t.test('dot files, traversal and links that leave the folder are 404, for navigations too', async (t) => {
  const built = await start(t)
  const paths = [
    '/.env', '/.git/config', '/assets/.hidden.js', '/%2eenv', '/%2Egit/config', '/../outside/secret.txt', '/%2e%2e/outside/secret.txt',
    '/..%2foutside/secret.txt', '/assets/..%5c..%5coutside', '/out/secret.txt', '/secret.txt', '/out', '/%00', '/assets\\..\\x', '//outside/secret.txt/../../.env'
  ]
  for (const path of paths) {
    for (const accept of ['*/*', 'text/html']) {
      const raw = await openRaw(t, Number(new URL(built.url).port))
      raw.send(`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\nConnection: close\r\n\r\n`)
      const answer = await raw.closed()
      t.match(answer, /^HTTP\/1\.1 40[04] /, `${path} ${accept}`)
      t.notMatch(answer, /secret\b.*$|SECRET=1/)
    }
  }
})

t.test('the endpoints and routes are not the app\'s: an unknown endpoint is 404 even for a navigation', async (t) => {
  const built = await start(t)
  const answer = await get(built, '/bff/nowhere', NAVIGATION)
  t.equal(answer.status, 404)
  t.not(answer.text, '<h1>app</h1>')
})

t.test('over https the browser is told to stay there', async (t) => {
  const folder = t.testdir({ 'index.html': 'x' })
  const built = await build(t, { settings: { spa: folder, public_url: 'https://app.example' } })
  const answer = await request(`http://127.0.0.1:${built.config.port}/`, { headers: NAVIGATION })
  await answer.body.dump()
  t.equal(answer.headers['strict-transport-security'], 'max-age=31536000')
})
