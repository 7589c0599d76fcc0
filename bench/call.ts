// The small call that the throughput bench makes, the same by wrk and by the load at a fixed rate.

/** Connections at once. */
export const CONNECTIONS = 64

/** Where it goes. */
export const PATH = '/api/orders?limit=10'

/** What a browser's fetch sends, besides the cookies. */
export const HEADERS: Readonly<Record<string, string>> = {
  'X-CSRF': '1',
  Accept: 'application/json',
  'Sec-Fetch-Site': 'same-origin',
  'Sec-Fetch-Mode': 'cors',
  'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Accept-Language': 'en',
  Referer: 'http://localhost:3000/orders'
}
