// The small page that a person sees when a navigation meets an error: plain words, a way on, no script.
import { ERRORS, type BullaError } from '../lib/errors.ts'

/** Where the page's way on leads. */
export interface WayOn { readonly href: string, readonly label: string }

/**
 * The page for an error.
 *
 * @param error what happened; only its title and detail are shown
 * @param wayOn a link, its address checked before
 * @param requestId what a person can quote
 */
export function errorPage (error: BullaError, wayOn: WayOn, requestId: string): string {
  const title = escapeHtml(ERRORS[error.code].title)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.6 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center }
main { max-width: 32rem; padding: 2rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem }
a { display: inline-block; margin-top: 1rem; padding: .6rem 1.2rem; border-radius: .5rem; background: #8a4b2a; color: #fff; text-decoration: none }
a:focus-visible { outline: 3px solid #d99a6c; outline-offset: 2px }
small { display: block; margin-top: 2rem; opacity: .7 }
</style>
</head>
<body>
<main>
<h1>${title}</h1>
${error.detail === undefined ? '' : `<p>${escapeHtml(error.detail)}</p>\n`}<a href="${escapeHtml(wayOn.href)}">${escapeHtml(wayOn.label)}</a>
<small>${escapeHtml(error.code)} · ${escapeHtml(requestId)}</small>
</main>
</body>
</html>
`
}

/**
 * Text made fit for HTML, inside elements and quoted attributes.
 *
 * @param text anything
 */
export function escapeHtml (text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
