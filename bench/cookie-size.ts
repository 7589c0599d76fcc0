// How many bytes of cookies a session takes: Bulla beside what else seals tokens, on five token sets.
import { createRequire } from 'node:module'
import { randomBytes } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { sealData } from 'iron-session'
import { CompactEncrypt } from 'jose'
import { NOW, sampleSession, sealingKit } from '../test/support/sealing.ts'
import { tokenSets, type TokenSet } from './token-sets.ts'

/** The bytes that product.md section 10 allows for the Keycloak set. */
const TARGET = 1900

/** Bytes of a cookie beside its value: a name such as `__Host-Http-bulla.0` and the equals sign. */
const NAME = 20
const CHUNK = 3900 - NAME

const key = randomBytes(32)
const { encryptSync } = createRequire(import.meta.url)('express-openid-connect/lib/crypto') as {
  encryptSync (payload: string, key: Uint8Array, header: object): string
}

/** Name and value bytes, chunked the same way for all. */
const cookieBytes = (value: string): number => value.length + NAME * Math.ceil(value.length / CHUNK)

/** What each of the others keeps of a login: the same tokens and claims. */
const asJson = (set: TokenSet): string => JSON.stringify({
  access_token: set.accessToken,
  refresh_token: set.refreshToken,
  id_token: set.idToken,
  token_type: 'Bearer',
  expires_at: NOW + 300,
  scope: set.scope,
  sub: set.subject,
  claims: set.claims
})

const jwe = async (bytes: Uint8Array): Promise<string> =>
  await new CompactEncrypt(bytes).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' }).encrypt(key)

/** Each way to seal a session, as bytes of cookies. */
const WAYS: Readonly<Record<string, (set: TokenSet) => Promise<number>>> = {
  bulla: async ({ name, ...tokens }) => {
    const kit = sealingKit({ budget: 14_000 })
    const setCookies = await kit.store.write(sampleSession(tokens), kit.cookies.read(undefined))
    return setCookies.reduce((sum, line) => sum + line.indexOf(';'), 0)
  },
  'deflate + JWE': async (set) => cookieBytes(await jwe(deflateRawSync(asJson(set), { level: 9 }))),
  'plain JWE': async (set) => cookieBytes(await jwe(Buffer.from(asJson(set)))),
  'express-openid-connect': async (set) => {
    const { claims, ...rest } = JSON.parse(asJson(set)) as Record<string, unknown>
    return cookieBytes(encryptSync(JSON.stringify(rest), key, { iat: NOW, uat: NOW, exp: NOW + 43_200 }))
  },
  'iron-session': async (set) => cookieBytes(await sealData(JSON.parse(asJson(set)), { password: key.toString('hex') }))
}

const ways = Object.keys(WAYS)
process.stdout.write('Bytes of cookies, names included (in brackets: how many times Bulla)\n\n')
process.stdout.write(`| tokens | ${ways.join(' | ')} |\n| --- |${ways.map(() => ' ---: |').join('')}\n`)
for (const set of tokenSets()) {
  const sizes = await Promise.all(ways.map(async (way) => await WAYS[way]?.(set) ?? 0))
  const [ours = 0] = sizes
  const cells = sizes.map((size, index) => index === 0 ? `**${size}**` : `${size} (${(size / ours).toFixed(1)})`)
  const characters = [set.accessToken, set.refreshToken, set.idToken].map((token) => token.length).join(' + ')
  process.stdout.write(`| ${set.name} (${characters}) | ${cells.join(' | ')} |\n`)
  if (set.name === 'Keycloak' && ours > TARGET) {
    process.stderr.write(`the Keycloak set takes ${ours} bytes: more than ${TARGET}\n`)
    process.exitCode = 1
  }
}
