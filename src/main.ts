#!/usr/bin/env node
// The process entry: argv and environment become one command; the only file that reads either.
import { text } from 'node:stream/consumers'
import closeWithGrace from 'close-with-grace'
import { runCli } from './cli/run.ts'

/** Milliseconds for requests in flight when the process is told to stop. */
const GRACE = 10_000

process.exitCode = await runCli({
  args: process.argv.slice(2),
  env: process.env,
  out: (line) => { process.stdout.write(`${line}\n`) },
  err: (line) => { process.stderr.write(`${line}\n`) },
  input: async () => await text(process.stdin),
  whenStopped: (stop) => {
    closeWithGrace({ delay: GRACE, logger: false }, async ({ err }) => { await stop(err) })
  }
})
