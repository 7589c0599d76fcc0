// A session becomes bytes and back: versioned, deflated, inflating capped.
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Session } from './session.ts'

const VERSION = 1
const MAX_INFLATED = 64 * 1024

/**
 * Encodes a session.
 *
 * @param session what to keep
 */
export function encodeSession (session: Session): Buffer {
  return Buffer.concat([Buffer.of(VERSION), deflateRawSync(Buffer.from(JSON.stringify(session)), { level: 9 })])
}

/**
 * Decodes a session.
 *
 * @param bytes what {@link encodeSession} made
 * @returns the session, or `null` for another version or what is no session
 */
export function decodeSession (bytes: Uint8Array): Session | null {
  if (bytes[0] !== VERSION) return null
  try {
    return JSON.parse(inflateRawSync(bytes.subarray(1), { maxOutputLength: MAX_INFLATED }).toString()) as Session
  } catch {
    return null
  }
}
