import t from 'tap'
import { build } from '../support/build.ts'
import { sessionCookie } from '../support/session-cookie.ts'
import { startUpstream } from '../support/upstream.ts'

t.test('a call goes to the upstream with the token and without the cookie', async (t) => {
  const upstream = await startUpstream(t)
  const built = await build(t, { settings: { routes: [{ prefix: '/api', upstream: upstream.url }] } })
  const cookie = await sessionCookie(built)
  const answer = await fetch(`${built.url}/api/x?y=1`, { headers: { cookie, 'x-csrf': '1' } })
  t.equal(answer.status, 200)
  const body = await answer.json() as { headers: Record<string, string>, url: string }
  t.equal(body.url, '/api/x?y=1')
  t.equal(body.headers.authorization, 'Bearer an-access-token')
  t.equal(body.headers.cookie, undefined)
  t.comment(JSON.stringify(body), JSON.stringify([...answer.headers]))
})
