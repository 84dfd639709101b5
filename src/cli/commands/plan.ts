import { checkTables } from '../../postgres/index.ts';
import { exitComplete, type Command } from '../command.ts';
import { ledgerKey, readRunOptions, runOptions } from '../input/runOptions.ts';
import { planText } from '../output/planText.ts';
import { openDatabase } from '../jobs/openDatabase.ts';
import { readRequest } from '../jobs/readRequest.ts';
import { planHelp } from './runHelp.ts';

/** `fintrack-pipelines plan`. */
export const plan: Command = {
  name: 'plan',
  summary: 'Says what a run would take, and when it would be done, before any call.',
  help: planHelp,
  options: [...runOptions, 'json'],
  flags: ['json'],
  positionals: 1,
  async run(invocation) {
    const { writer, cwd, signal } = invocation;
    const options = readRunOptions('plan', invocation);
    const { job, providers, requestId, server } = options;
    await using database = server === undefined ? undefined : openDatabase(server);
    const request = await readRequest('plan', options, { cwd, signal, database });
    if (database !== undefined) await checkTables({ database, tables: [job.table] });
    await using opened = request.open(database);
    const key = requestId === undefined ? undefined : ledgerKey(job, requestId);
    const planned = await opened.plan({ key, signal });
    if (invocation.options['json'] === undefined) {
      for (const line of planText(`${job.name} by ${providers.join(', ')}`, planned, new Date())) writer.result(line);
    } else {
      writer.result(JSON.stringify({ pipeline: job.name, providers, ...planned }));
    }
    return exitComplete;
  },
};
