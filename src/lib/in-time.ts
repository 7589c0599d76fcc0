// A time limit for work that has none of its own.

/**
 * Waits for work, but not longer than a limit. The work itself is not stopped.
 *
 * @param work what is waited for
 * @param milliseconds the limit
 * @throws what the work throws, or an error that says that it took too long
 */
export async function inTime<T> (work: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new Error(`took longer than ${milliseconds} ms`)) }, milliseconds)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
