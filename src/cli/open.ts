// `bulla open`: what sealed cookies hold, tokens masked, and why one does not open.
import { createHash } from 'node:crypto'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { printable } from '../lib/redact.ts'
import { chunkCapacity, createSealedChunks, presentChunks, splitChunks } from '../session/chunks.ts'
import { decodeRefreshPart, decodeSession } from '../session/codec.ts'
import { createCookies, type Cookies, type OwnCookies } from '../session/cookies.ts'
import { createKeyring, type Keyring } from '../session/keyring.ts'
import { createSealer, type Sealer } from '../session/seal.ts'
import type { CliContext, CliOptions } from './run.ts'

/** What is looked at; a login in flight holds secrets only. */
type Kind = 'session' | 'refresh' | 'end' | 'spent' | 'idle'

/** What became of one sealed value. */
interface Opened {
  readonly kind: Kind
  readonly chunks: number
  /** Bytes of cookies: names and values. */
  readonly bytes: number
  /** The key that its header names. */
  readonly kid: string | null
  /** Why it does not open; `null` if it does. */
  readonly fault: string | null
  /** What it holds, tokens masked. */
  readonly content: Readonly<Record<string, unknown>> | null
}

const KINDS: readonly Kind[] = ['session', 'refresh', 'end', 'spent', 'idle']

/**
 * `bulla open <cookie>`: takes a `Cookie` header or one sealed value, as argument or on standard input.
 *
 * @param context the process
 * @param options of the command line
 * @param words after `open`
 * @returns 0 if all that was found opens, 1 if not, 2 for a wrong call
 * @throws {ConfigError} if the configuration is wrong: the keys and what they are bound to must be known
 */
export async function openCommand (
  context: CliContext, options: CliOptions, words: readonly string[]
): Promise<number> {
  const argument = words.join(' ')
  const text = (argument === '' || argument === '-' ? await context.input() : argument).trim()
  if (text === '') {
    context.err('bulla: usage: bulla open <cookie>: a Cookie header or one sealed value, or either on standard input')
    return 2
  }
  const file = options.config === undefined ? {} : { file: options.config }
  const config = loadConfig({ env: context.env, ...file })
  const keyring = createKeyring(config.keys, {
    origin: config.public_url, issuer: config.issuer, clientId: config.client_id
  })
  const opened = openAll(text, config, keyring)
  const { budget } = config.cookie
  if (options.json) context.out(JSON.stringify({ keys: keyring.kids, budget, cookies: opened }))
  else print(context, opened, config, keyring)
  return opened.length > 0 && opened.every(({ fault }) => fault === null) ? 0 : 1
}

function openAll (text: string, config: Config, keyring: Keyring): Opened[] {
  const cookies = createCookies({
    publicUrl: config.public_url,
    basePath: config.base_path,
    prefix: config.cookie.prefix,
    sameSite: config.cookie.same_site
  }, () => '')
  const isSealedValue = /^[\w-]+(\.[\w-]*){4}$/.test(text)
  const own = cookies.read(isSealedValue ? asHeader(text, cookies) : text.replace(/^cookie:\s*/i, ''))
  const sealer = createSealer(() => keyring)
  return KINDS.flatMap((kind) => {
    const isThere = own.values.has(cookies.name(kind)) || own.values.has(cookies.name(kind, 0))
    return isThere ? [openOne(kind, cookies, own, sealer)] : []
  })
}

/** One sealed value as the header it would have come in: its own header tells what it is for. */
function asHeader (sealed: string, cookies: Cookies): string {
  const kind = KINDS.find((candidate) => headerOf(sealed).typ === `bulla-${candidate}+1`) ?? 'session'
  if (kind !== 'session' && kind !== 'refresh') return `${cookies.name(kind)}=${sealed}`
  const chunks = splitChunks(sealed, chunkCapacity(cookies.name(kind, 0)))
  return chunks.map((chunk, index) => `${cookies.name(kind, index)}=${chunk}`).join('; ')
}

function openOne (kind: Kind, cookies: Cookies, own: OwnCookies, sealer: Sealer): Opened {
  const isChunked = kind === 'session' || kind === 'refresh'
  const names = isChunked
    ? presentChunks(cookies, kind, own).map((_, index) => cookies.name(kind, index))
    : [cookies.name(kind)]
  const text = names.map((name) => own.values.get(name) ?? '').join('')
  const found = { kind, chunks: names.length, bytes: names.join('').length + text.length, kid: headerOf(text).kid }
  if (names.some((name) => own.duplicates.has(name))) return { ...found, fault: 'a name came twice', content: null }
  if (names.length === 0) return { ...found, fault: 'a chunk is missing, too long or there twice', content: null }
  const bytes = isChunked ? createSealedChunks(cookies, sealer, kind).open(text) : sealer.open(kind, text)
  if (bytes === null) return { ...found, fault: whyClosed(text, kind, sealer.keyring()), content: null }
  const content = isChunked ? decodeChunked(kind, bytes) : JSON.parse(bytes.toString()) as Opened['content']
  const fault = content === null ? 'its format version is not known to this release' : null
  return { ...found, fault, content }
}

function decodeChunked (kind: 'session' | 'refresh', bytes: Buffer): Record<string, unknown> | null {
  const content = kind === 'session' ? decodeSession(bytes) : decodeRefreshPart(bytes)
  return content === null
    ? null
    : Object.fromEntries(Object.entries(content).map(([name, value]) =>
      [name, name.endsWith('Token') ? mask(String(value)) : value]))
}

/** A token is never shown: its length, and what tells it from another one. */
function mask (token: string): string {
  return `${token.length} characters, sha256 ${createHash('sha256').update(token).digest('hex').slice(0, 12)}`
}

function whyClosed (text: string, kind: Kind, keyring: Keyring): string {
  const { kid, typ } = headerOf(text)
  if (kid === null) return 'it is not a sealed value'
  if (!keyring.kids.includes(kid)) return `no key ${kid} in this ring (${keyring.kids.join(', ')})`
  if (typ !== `bulla-${kind}+1`) return `it was sealed for another purpose (${typ ?? 'unknown'})`
  return 'it was changed, is incomplete, or belongs to another public_url, issuer or client_id'
}

function headerOf (sealed: string): { kid: string | null, typ: string | null } {
  try {
    const encoded = sealed.slice(0, sealed.indexOf('.'))
    const header = JSON.parse(Buffer.from(encoded, 'base64url').toString()) as Record<string, unknown>
    const text = (value: unknown): string | null => typeof value === 'string' ? printable(value, 40) : null
    return { kid: text(header.kid), typ: text(header.typ) }
  } catch {
    return { kid: null, typ: null }
  }
}

function print (context: CliContext, opened: readonly Opened[], config: Config, keyring: Keyring): void {
  if (opened.length === 0) context.err('bulla: no cookie of this deployment: see public_url and cookie.prefix')
  for (const { kind, chunks, bytes, kid, fault, content } of opened) {
    const how = fault === null ? `, opened with key ${kid ?? ''}` : ''
    context.out(`${kind}: ${chunks === 1 ? '1 cookie' : `${chunks} cookies`}, ${bytes} bytes${how}`)
    if (fault !== null) context.out(`  does not open: ${fault}`)
    for (const [name, value] of Object.entries(content ?? {})) context.out(`  ${name}: ${shown(name, value)}`)
  }
  const ofBudget = opened.filter(({ kind }) => kind === 'session' || kind === 'refresh')
  const total = ofBudget.reduce((sum, { bytes }) => sum + bytes, 0)
  if (total > 0) context.out(`budget: ${total} of ${config.cookie.budget} bytes`)
  if (opened.some(({ kid }) => kid !== null && kid !== keyring.kids[0] && keyring.kids.includes(kid))) {
    context.out('An older key opened this: the next refresh seals it with the first key of the ring.')
  }
}

function shown (name: string, value: unknown): string {
  const isTime = typeof value === 'number' && /(?:At|Time|^at)$/.test(name)
  if (isTime) return `${value} (${new Date(value * 1000).toISOString()})`
  return typeof value === 'string' ? value : JSON.stringify(value)
}
