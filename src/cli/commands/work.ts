import type { Command } from '../command.ts';
import { readWorkOptions, workFlags, workOptions } from '../worker/workOptions.ts';
import { runWorker } from '../worker/runWorker.ts';
import { workHelp } from './workHelp.ts';

/** `fintrack-pipelines work`. */
export const work: Command = {
  name: 'work',
  summary: 'Answers the requests of Kafka topics, until it is told to stop.',
  help: workHelp,
  options: workOptions,
  flags: workFlags,
  positionals: 0,
  run: (invocation) => runWorker(readWorkOptions(invocation), invocation),
};
