// Bytes that look random and are the same in each run.
import { createHash } from 'node:crypto'

/** Numbers that look random and are the same in each run. */
export interface Random {
  bytes (length: number): Buffer
  uuid (): string
  base64url (length: number): string
}

/**
 * A source of bytes that depend on the seed only.
 *
 * @param seed any text
 */
export function createRandom (seed: string): Random {
  let counter = 0
  const bytes = (length: number): Buffer => {
    const blocks: Buffer[] = []
    for (let have = 0; have < length; have += 32) {
      blocks.push(createHash('sha256').update(`${seed}/${counter++}`).digest())
    }
    return Buffer.concat(blocks).subarray(0, length)
  }
  return {
    bytes,
    uuid: () => bytes(16).toString('hex').replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-a$4-$5'),
    base64url: (length) => bytes(length).toString('base64url')
  }
}
