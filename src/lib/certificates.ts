// Whom outbound TLS trusts: the well-known authorities, and those of a file beside them.
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'

/**
 * The certificates that a connection trusts.
 *
 * @param file further CA certificates, PEM; default: none
 * @returns all of them, or `undefined` for Node's own default
 */
export function trustedCertificates (file: string | undefined): string[] | undefined {
  return file === undefined ? undefined : [...rootCertificates, readFileSync(file, 'utf8')]
}
