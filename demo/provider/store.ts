// The memory of the authorization server, where a spent refresh token is refused or answered for a while.
import { LRUCache } from 'lru-cache'
import { errors, type Adapter, type AdapterPayload } from 'oidc-provider'

const MAX_ENTRIES = 200_000

/** What the store needs to know. */
export interface StoreOptions {
  /** Seconds for which a spent refresh token still answers with new tokens; 0 for none. */
  readonly reuseWindow: number
}

/** All models of one provider in one bounded map, with the index by grant that revocation needs. */
export class ProviderStore {
  readonly #entries = new LRUCache<string, AdapterPayload>({ max: MAX_ENTRIES })
  readonly #byGrant = new LRUCache<string, Set<string>>({ max: MAX_ENTRIES })
  readonly #bySessionUid = new LRUCache<string, string>({ max: MAX_ENTRIES })
  readonly #consumedAt = new WeakMap<AdapterPayload, number>()
  readonly #reuseWindow: number

  constructor (options: StoreOptions) {
    this.#reuseWindow = options.reuseWindow
  }

  /** The adapter of one model, as oidc-provider asks for it. */
  adapter = (model: string): Adapter => {
    const key = (id: string) => `${model}:${id}`
    return {
      upsert: async (id, payload, expiresIn) => this.#set(key(id), payload, expiresIn),
      find: async (id) => this.#find(key(id)),
      findByUid: async (uid) => this.#find(this.#bySessionUid.get(uid) ?? ''),
      findByUserCode: async () => undefined,
      consume: async (id) => this.#consume(key(id)),
      destroy: async (id) => { this.#entries.delete(key(id)) },
      revokeByGrantId: async (grantId) => this.revokeGrant(grantId)
    }
  }

  /** Ends a grant: every code and token of it is gone, as after a logout or a detected reuse. */
  revokeGrant (grantId: string): void {
    for (const key of this.#byGrant.get(grantId) ?? []) this.#entries.delete(key)
    this.#byGrant.delete(grantId)
    this.#entries.delete(`Grant:${grantId}`)
  }

  /** Ends every grant of a person, as an administrator would. */
  revokeSubject (sub: string): void {
    for (const [key, entry] of [...this.#entries.entries()]) {
      if (key.startsWith('Grant:') && entry.accountId === sub) this.revokeGrant(key.slice('Grant:'.length))
    }
  }

  #set (key: string, payload: AdapterPayload, expiresIn?: number): void {
    this.#entries.set(key, payload, expiresIn === undefined ? {} : { ttl: expiresIn * 1000 })
    if (key.startsWith('Session:') && payload.uid !== undefined) this.#bySessionUid.set(payload.uid, key)
    if (payload.grantId === undefined) return
    const members = this.#byGrant.get(payload.grantId) ?? new Set()
    this.#byGrant.set(payload.grantId, members.add(key))
  }

  #find (key: string): AdapterPayload | undefined {
    const entry = this.#entries.get(key)
    const consumedAt = entry && this.#consumedAt.get(entry)
    if (entry === undefined || consumedAt === undefined) return entry
    const window = key.startsWith('RefreshToken:') ? this.#reuseWindow * 1000 : 0
    const withinWindow = Date.now() < consumedAt + window
    return withinWindow ? entry : { ...entry, consumed: Math.floor(consumedAt / 1000) }
  }

  /** Marks as spent. Of two requests that found the same token unspent, strict rotation lets one through. */
  #consume (key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) throw new errors.InvalidGrant('already used')
    if (!this.#consumedAt.has(entry)) {
      this.#consumedAt.set(entry, Date.now())
    } else if (this.#find(key)?.consumed !== undefined) {
      this.revokeGrant(entry.grantId ?? '')
      throw new errors.InvalidGrant('already used')
    }
  }
}
