// Where the files are that tests read: tap starts tests, compiled ones too, in the folder of package.json.
import { join } from 'node:path'

/**
 * A path of the package.
 *
 * @param parts below its folder
 */
export function fromRoot (...parts: string[]): string {
  return join(process.cwd(), ...parts)
}
