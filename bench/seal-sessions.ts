// Seals sessions in a process of its own, since the memory that it takes is not the proxy's:
// `node seal-sessions.js <count> <key> <file>`.
import { writeFileSync } from 'node:fs'
import { bullaFor, cookiesFor } from './bulla.ts'

const [, , count = '1', key = '', file = ''] = process.argv
const server = await bullaFor(key, [])
writeFileSync(file, `${(await cookiesFor(server, Number(count))).join('\n')}\n`)
await server.close()
process.send?.('sealed', () => { process.disconnect() })
