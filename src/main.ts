#!/usr/bin/env node
// The process entry: argv and environment become one command; the only file that reads either.
import { text } from 'node:stream/consumers'
import { runCli } from './cli/run.ts'

process.exitCode = await runCli({
  args: process.argv.slice(2),
  env: process.env,
  out: (line) => { process.stdout.write(`${line}\n`) },
  err: (line) => { process.stderr.write(`${line}\n`) },
  input: async () => await text(process.stdin)
})
