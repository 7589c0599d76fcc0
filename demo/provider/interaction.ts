// Answers what oidc-provider leaves to its host: who is logging in, and the files of its pages.
import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type Provider from 'oidc-provider'
import { packageRoot } from '../package-root.ts'
import { ENDPOINTS, type ResolvedOptions } from './options.ts'
import { errorPage, loginPage } from './pages.ts'
import { findUser } from './users.ts'

type Middleware = Parameters<Provider['use']>[0]
type Context = Parameters<Middleware>[0]
type Details = Awaited<ReturnType<Provider['interactionDetails']>>

const FORM_LIMIT = 4096
const folder = join(packageRoot(), 'demo/provider/assets')
const assets = new Map(['style.css', 'submit.js', 'tablet.svg'].map((name) => [
  `/assets/${name}`, { extension: extname(name), file: join(folder, name) }
]))

/** What the provider does the next time somebody is to log in; tests change it while it runs. */
export interface LoginBehaviour {
  /** User name of whoever is logged in without a page; `null` shows the page. */
  autoLogin: string | null
  /** Answers every login with this error code of OAuth instead. */
  refuseWith: string | null
}

/** Middleware in front of oidc-provider: its assets, and its interactions. */
export function interactions (
  provider: Provider, options: ResolvedOptions, behaviour: LoginBehaviour
): Middleware {
  return async (ctx, next) => {
    const asset = assets.get(ctx.path)
    if (asset !== undefined) {
      ctx.type = asset.extension
      ctx.set('cache-control', 'no-cache')
      ctx.body = await readFile(asset.file)
      return
    }
    if (!ctx.path.startsWith(`${ENDPOINTS.interaction}/`)) return await next()
    ctx.set('cache-control', 'no-store')
    const interaction = await provider.interactionDetails(ctx.req, ctx.res).catch(() => undefined)
    if (interaction === undefined) {
      ctx.status = 400
      return show(ctx, errorPage({ error: 'This login is over', hint: 'Go back to the app and start again' }))
    }
    const result = await decide(ctx, interaction, options, behaviour)
    if (result === undefined) {
      return show(ctx, loginPage(interaction.uid, options, String(interaction.params.login_hint)))
    }
    ctx.respond = false
    await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true })
  }
}

/** The result that ends an interaction; `undefined`: ask the person. */
async function decide (
  ctx: Context, interaction: Details, options: ResolvedOptions, behaviour: LoginBehaviour
) {
  if (behaviour.refuseWith !== null) return { error: behaviour.refuseWith, error_description: 'as told' }
  if (interaction.prompt.name === 'consent') return { consent: {} }
  if (ctx.method === 'POST') return await submitted(ctx, interaction, options)
  if (behaviour.autoLogin === null) return undefined
  const hinted = findUser(options.users, interaction.params.login_hint)
  const user = hinted ?? findUser(options.users, behaviour.autoLogin)
  return user === undefined ? undefined : loggedIn(user.sub, interaction)
}

async function submitted (ctx: Context, interaction: Details, options: ResolvedOptions) {
  if (ctx.path.endsWith('/abort')) {
    return { error: 'access_denied', error_description: 'The person cancelled.' }
  }
  let body = ''
  for await (const chunk of ctx.req) {
    body += String(chunk)
    if (body.length > FORM_LIMIT) return undefined
  }
  const user = findUser(options.users, new URLSearchParams(body).get('user'))
  return user === undefined ? undefined : loggedIn(user.sub, interaction)
}

/** A login reaches the first authentication context that was asked for. */
function loggedIn (accountId: string, interaction: Details) {
  const acr = String(interaction.params.acr_values ?? '').split(' ')[0]
  return { login: { accountId, amr: ['demo'], ...(acr === '' || acr === undefined ? {} : { acr }) } }
}

function show (ctx: Context, page: { html: string, policy: string }) {
  ctx.type = 'html'
  ctx.set('content-security-policy', page.policy)
  ctx.body = page.html
}
