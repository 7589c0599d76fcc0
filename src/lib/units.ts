// Durations and sizes as people write them in settings: `90s`, `15m`, `12h`, `7d`; `4096`, `10mb`.

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }
const BYTES: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }

/**
 * Reads a duration.
 *
 * @param text `90s`, `15m`, `12h`, `7d`, a bare number of seconds, or `off`
 * @returns seconds; 0 for `off`; `undefined` if it is none of these
 */
export function parseDuration (text: string): number | undefined {
  if (text === 'off') return 0
  return scaled(/^(\d{1,9})(s|m|h|d)?$/.exec(text), SECONDS)
}

/**
 * Reads a size.
 *
 * @param text a number of bytes, or one with `kb`, `mb` or `gb`
 * @returns bytes; `undefined` if it is none of these
 */
export function parseSize (text: string): number | undefined {
  return scaled(/^(\d{1,12})(b|kb|mb|gb)?$/.exec(text.toLowerCase()), BYTES)
}

function scaled (match: RegExpExecArray | null, units: Readonly<Record<string, number>>): number | undefined {
  return match === null ? undefined : Number(match[1]) * (units[match[2] ?? ''] ?? 1)
}
