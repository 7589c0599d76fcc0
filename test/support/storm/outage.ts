// An outage in a storm's site: the token endpoint fails in every way for a while, and comes back.
import { buildSite, seeded, type StormOptions } from './storm.ts'
import type { Outage } from './provider.ts'
import type { Seen } from './visitor.ts'

/** What came of it. */
export interface OutageResult {
  readonly requests: number
  /** Each kind of answer while it lasted, such as `503 idp_unavailable`. */
  readonly kinds: readonly string[]
  readonly tokenCalls: number
  readonly lost: number
  /** Milliseconds from the return of the endpoint until the last session worked again. */
  readonly recovery: number
}

const OUTAGES: readonly Outage[] = ['error', 'reset', 'html', 'refused', 'hang']

const kindOf = (seen: Seen): string => typeof seen === 'string' ? seen : `${seen.status} ${seen.code ?? ''}`.trim()

/**
 * Lets the endpoint fail for some milliseconds, in another way each second, while every session goes on
 * calling.
 */
export async function outage (options: StormOptions, lasting: number): Promise<OutageResult> {
  const site = await buildSite(options)
  const random = seeded(options.seed)
  const kinds = new Set<string>()
  let requests = 0
  const start = Date.now()
  const change = setInterval(() => {
    site.provider.outage = OUTAGES[Math.floor(random() * OUTAGES.length)] ?? 'error'
  }, 1000)
  try {
    await Promise.all(site.visitors.map(async (visitor) => {
      while (Date.now() < start + lasting) {
        kinds.add(kindOf(await visitor.call()))
        requests += 1
      }
    }))
    clearInterval(change)
    site.provider.outage = 'none'
    const mended = Date.now()
    const after = await Promise.all(site.visitors.map(async (visitor) => {
      let seen = await visitor.call()
      while (kindOf(seen).startsWith('50') && Date.now() < mended + 20_000) seen = await visitor.call()
      return kindOf(seen)
    }))
    return {
      requests,
      kinds: [...kinds].sort(),
      tokenCalls: site.provider.calls,
      lost: after.filter((kind) => kind !== '200').length,
      recovery: Date.now() - mended
    }
  } finally {
    clearInterval(change)
    await site.close()
  }
}
