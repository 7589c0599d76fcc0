// Opened sessions: the rest is decoded when it is asked for, once, and is no session if it cannot be.
import t from 'tap'
import { encodeSession } from '../../src/session/codec.ts'
import { openedOf, openSession, wholeOf } from '../../src/session/opened-session.ts'
import { createRevocationList, type RevocableSession } from '../../src/session/revocation-list.ts'
import { keycloak } from '../../bench/token-sets.ts'
import { NOW, sampleSession } from '../support/sealing.ts'

const { name, ...tokens } = keycloak()
const session = sampleSession({ ...tokens, providerSid: 'at-the-provider', claims: { name: 'Jane' }, scope: 'openid' })

t.test('a session opens to what it was, and gives the same object each time', async (t) => {
  const opened = openSession(encodeSession(session))
  t.match(opened, {
    sid: session.sid, accessToken: session.accessToken, hasRefreshToken: true, subject: session.subject, providerSid: 'at-the-provider'
  })
  t.strictSame(opened?.whole(), session)
  t.equal(opened?.whole(), opened?.whole())
})

t.test('a whole session is its own rest', async (t) => {
  t.equal(openedOf(session).whole(), session)
  t.equal(openedOf(session).hasRefreshToken, true)
  t.equal(openedOf(sampleSession()).hasRefreshToken, false)
})

t.test('S40 a rest that cannot be decoded is no session for whoever asks for it', async (t) => {
  const bytes = encodeSession(session)
  // The signatures stand behind the text: without the last one the head is whole, the rest is not.
  const cut = openSession(bytes.subarray(0, bytes.length - 8))
  t.equal(cut?.accessToken, session.accessToken)
  t.throws(() => cut?.whole(), { code: 'login_required' })
  t.throws(() => cut?.subject, { code: 'login_required' })
  t.equal(cut === null ? undefined : wholeOf(cut), null)
  t.equal(openSession(Buffer.from([2, 0])), null, 'another major version')
})

t.test('the revocation list decodes a session only where an entry may name its person', async (t) => {
  let asked = 0
  const revocable: RevocableSession = {
    sid: 's1',
    createdAt: NOW,
    get subject () { asked += 1; return 'jane' },
    get providerSid () { return 'at-the-provider' }
  }
  const list = createRevocationList({ clock: () => NOW * 1000 })
  t.equal(list.isRevoked(revocable), false)
  list.revoke({ kind: 'session', id: 's2', at: NOW, until: NOW + 10 })
  t.equal(list.isRevoked(revocable), false)
  t.equal(asked, 0)
  list.revoke({ kind: 'provider_session', id: 'at-the-provider', at: NOW, until: NOW + 10 })
  t.equal(list.isRevoked(revocable), true)
  t.equal(asked, 1)
})
