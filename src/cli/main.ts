#!/usr/bin/env node
import { commandLine } from './commandLine.ts';
import { exitFailed } from './command.ts';
import { sentence } from './output/sentence.ts';
import { leaveOutTimerWarnings } from './warnings.ts';

for (const output of [process.stdout, process.stderr]) {
  // A reader that has gone (`| head`) does not end the work.
  output.on('error', () => undefined);
}

process.on('uncaughtException', (error) => {
  process.stderr.write(`fintrack-pipelines: ${sentence(error)}\n`);
  process.exit(exitFailed);
});

leaveOutTimerWarnings(process);

process.exitCode = await commandLine({
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  signals: process,
  exit: (code) => process.exit(code),
});
