// Which hosts are this machine's own: the only ones for which plain http is safe.

/**
 * Whether a URL's host is a loopback one (`localhost`, `*.localhost`, 127.0.0.0/8, `[::1]`).
 *
 * @param hostname as `URL.hostname` has it
 * @see https://www.rfc-editor.org/rfc/rfc8252#section-8.3
 */
export function isLoopback (hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '[::1]' ||
    /^127(?:\.\d{1,3}){3}$/.test(hostname)
}
