import { randomUUID } from 'node:crypto';
import { failedRequest, PipelineError, rejectedRequest, serializeEvent, type CompletionEvent } from '../../index.ts';
import { checkTables, type Database } from '../../postgres/index.ts';
import { exitComplete, exitFailed, exitPartial, type Command, type Invocation } from '../command.ts';
import { ledgerKey, readRunOptions, runOptions, type RunOptions } from '../input/runOptions.ts';
import { logCompletion, quotaBackAt } from '../output/completionText.ts';
import { showProgress } from '../output/progress.ts';
import { sentence } from '../output/sentence.ts';
import { timeOf } from '../output/time.ts';
import type { PreparedRequest } from '../jobs/jobs.ts';
import { openDatabase } from '../jobs/openDatabase.ts';
import { readRequest } from '../jobs/readRequest.ts';
import { runHelp } from './runHelp.ts';

/** `fintrack-pipelines run`. */
export const run: Command = {
  name: 'run',
  summary: 'Runs one request of a pipeline and prints its completion event.',
  help: runHelp,
  options: runOptions,
  positionals: 1,
  async run(invocation) {
    const { requestId = randomUUID(), ...options } = readRunOptions('run', invocation);
    await using database = options.server === undefined ? undefined : openDatabase(options.server);
    const completion = await completionOf({ ...options, requestId }, database, invocation);
    invocation.writer.result(serializeEvent(completion));
    return { complete: exitComplete, partial: exitPartial, failed: exitFailed }[completion.status];
  },
};

/** The event of the run, whatever becomes of it; only a wrong option has none. */
async function completionOf(
  options: RunOptions & { readonly requestId: string },
  database: Database | undefined,
  { cwd, writer, signal }: Invocation,
): Promise<CompletionEvent> {
  const { job, requestId } = options;
  let request: PreparedRequest | undefined;
  let isStarted = false;
  const goOn = `run the same command with --request-id ${requestId}`;
  try {
    request = await readRequest('run', options, { cwd, signal, database });
    if (database !== undefined) await checkTables({ database, tables: [job.table] });
    await using opened = request.open(database, (line) => {
      writer.log(line);
    });
    const key = ledgerKey(job, requestId);
    const forecast = (credits: number): Date | undefined => opened.forecast(credits, key);
    const progress = showProgress({ name: job.name, total: request.inputs.length, writer, forecast });
    isStarted = true;
    const { completion } = await opened.run({ key, signal, events: progress }).finally(() => {
      progress.end();
    });
    logCompletion(job.name, completion, writer);
    if (database !== undefined && completion.skipped.length > 0) {
      const backAt = quotaBackAt(completion);
      const then = backAt === undefined ? '' : `from ${timeOf(backAt, new Date())} on `;
      writer.log(`to go on where it stopped, ${then}${goOn}`);
    }
    return completion;
  } catch (cause) {
    const error = PipelineError.from(cause);
    if (error.code === 'options_invalid') throw error;
    writer.log(`fintrack-pipelines: ${sentence(error)}`);
    if (error.retryable && isStarted && database !== undefined) writer.log(`to go on where it stopped, ${goOn}`);
    return request === undefined
      ? rejectedRequest(job.name, error, requestId)
      : failedRequest(request, error, { key: requestId, stage: 'validate' });
  }
}
