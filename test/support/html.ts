// Reads forms and refreshes out of small HTML pages, as far as the scripted browser needs them.

/** A form as it would be sent. */
export interface Form {
  readonly method: string
  readonly action: string
  readonly fields: Record<string, string>
  readonly buttons: ReadonlyArray<{ name: string, value: string, text: string }>
}

const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decode (text: string): string {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal?: string, hex?: string, name?: string) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal))
    if (hex !== undefined) return String.fromCodePoint(parseInt(hex, 16))
    return named[name ?? ''] ?? all
  })
}

function attributes (tag: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const match of tag.matchAll(/([\w-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)) {
    const [, name = '', double, single, bare] = match
    if (!found.has(name.toLowerCase())) found.set(name.toLowerCase(), decode(double ?? single ?? bare ?? ''))
  }
  return found
}

/** All forms of a page. */
export function formsOf (html: string): Form[] {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, head = '', body = '']) => {
    const form = attributes(head)
    const fields: Record<string, string> = {}
    for (const [, tag = ''] of body.matchAll(/<input\b([^>]*)>/gi)) {
      const input = attributes(tag)
      const name = input.get('name')
      if (name !== undefined && input.get('type') !== 'submit') fields[name] = input.get('value') ?? ''
    }
    const buttons = [...body.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/gi)].map(([, tag = '', inner = '']) => {
      const button = attributes(tag)
      return { name: button.get('name') ?? '', value: button.get('value') ?? '', text: inner.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim() }
    })
    return { method: (form.get('method') ?? 'get').toUpperCase(), action: form.get('action') ?? '', fields, buttons }
  })
}

/** The form that the page's own script sends at once, as response mode form_post does. */
export function autoFormOf (html: string): Form | undefined {
  const submits = /\.submit\(\)|<script[^>]*src="[^"]*submit\.js"|onload="[^"]*submit/i.test(html)
  return submits ? formsOf(html)[0] : undefined
}

/** Where `<meta http-equiv="refresh">` leads, if the page has one. */
export function refreshOf (html: string): string | undefined {
  for (const [, tag = ''] of html.matchAll(/<meta\b([^>]*)>/gi)) {
    const meta = attributes(tag)
    if (meta.get('http-equiv')?.toLowerCase() !== 'refresh') continue
    return /^\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?["']?(.*?)["']?\s*$/i.exec(meta.get('content') ?? '')?.[1]
  }
  return undefined
}
