#!/usr/bin/env node
// The process entry: argv and environment become one command; the only file that reads either.
import { runCli } from './cli/run.ts'

process.exitCode = await runCli({
  args: process.argv.slice(2),
  env: process.env,
  out: (text) => { process.stdout.write(`${text}\n`) },
  err: (text) => { process.stderr.write(`${text}\n`) }
})
