import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { OptionsError, PipelineError, serializeEvent, type CompletionEvent } from '../../index.ts';
import { checkTables, type Database } from '../../postgres/index.ts';
import { exitComplete, exitFailed, exitPartial, type Command, type Invocation } from '../command.ts';
import { chooseDatabase, databaseAdvice } from '../input/databaseChoice.ts';
import { shown } from '../input/parseArguments.ts';
import { chooseSymbols, readSymbols, type SymbolSource } from '../input/readSymbols.ts';
import { logCompletion } from '../output/completionText.ts';
import { showProgress } from '../output/progress.ts';
import { sentence } from '../output/sentence.ts';
import { failedCompletion } from '../work/failedCompletion.ts';
import type { ProviderName } from '../work/fetchers.ts';
import { jobs, type Job, type OpenJob, type PreparedRequest } from '../work/jobs.ts';
import { openDatabase } from '../work/openDatabase.ts';
import { runHelp } from './runHelp.ts';

/** `fintrack-pipelines run`. */
export const run: Command = {
  name: 'run',
  summary: 'Runs one request of a pipeline and prints its completion event.',
  help: runHelp,
  options: ['symbols', 'file', 'from-table', 'start', 'end', 'provider', 'database', 'request-id'],
  positionals: 1,
  async run(invocation) {
    const plan = readPlan(invocation);
    await using database = plan.server === undefined ? undefined : openDatabase(plan.server);
    const completion = await completionOf(plan, database, invocation);
    invocation.writer.result(serializeEvent(completion));
    return { complete: exitComplete, partial: exitPartial, failed: exitFailed }[completion.status];
  },
};

/** The options and variables of a run, all checked before anything is opened. */
function readPlan({ positionals, options, environment }: Invocation) {
  const job = findJob(positionals[0]);
  const symbols = chooseSymbols(options);
  const range = readRange(job, options);
  const provider = chooseProvider(job, options['provider']);
  const choice = chooseDatabase(options['database'], environment);
  if (choice === undefined) {
    throw new OptionsError(`run: no database is named: ${databaseAdvice}, or --database memory, which keeps nothing`);
  }
  return {
    job,
    symbols,
    range,
    openJob: job.open(provider, environment),
    server: choice.kind === 'memory' ? undefined : choice,
    requestId: options['request-id'] ?? randomUUID(),
  };
}

type Plan = ReturnType<typeof readPlan>;

/** The event of the run, whatever becomes of it; only a wrong option has none. */
async function completionOf(
  { job, openJob, symbols, range, requestId }: Plan,
  database: Database | undefined,
  { cwd, writer, signal }: Invocation,
): Promise<CompletionEvent> {
  let request: PreparedRequest | undefined;
  let isStarted = false;
  const goOn = `to go on where it stopped, run the same command with --request-id ${requestId}`;
  try {
    request = await readRequest({ job, openJob, symbols, fields: { ...range, requestId } }, database, { cwd, signal });
    if (database !== undefined) await checkTables(database, { tables: [job.table] });
    const progress = showProgress(job.name, request.inputs.length, writer);
    const key = `run:${job.name}:${requestId}`;
    isStarted = true;
    const { completion } = await request.run({ database, key, signal, events: progress }).finally(() => {
      progress.end();
    });
    logCompletion(job.name, completion, writer);
    if (database !== undefined && completion.skipped.length > 0) writer.log(goOn);
    return completion;
  } catch (cause) {
    const error = PipelineError.from(cause);
    if (error.code === 'options_invalid') throw error;
    writer.log(`fintrack-pipelines: ${sentence(error)}`);
    if (error.retryable && isStarted && database !== undefined) writer.log(goOn);
    return failedCompletion(job.name, error, requestId, request);
  }
}

async function readRequest(
  { job, openJob, symbols, fields }: { job: Job; openJob: OpenJob; symbols: SymbolSource; fields: object },
  database: Database | undefined,
  place: Pick<Invocation, 'cwd' | 'signal'>,
): Promise<PreparedRequest> {
  const { message, refused } = await readSymbols(symbols, job.name, { ...place, database });
  return openJob.prepare({ ...message, ...fields }, refused);
}

function findJob(name: string | undefined): Job {
  const names = Object.keys(jobs).join(', ');
  if (name === undefined) throw new OptionsError(`run: a pipeline is missing: give one of ${names}`);
  if (Object.hasOwn(jobs, name)) return jobs[name as keyof typeof jobs];
  throw new OptionsError(`run: unknown pipeline ${shown(name)}; the pipelines are ${names}`);
}

function chooseProvider({ name, providers }: Job, option: string | undefined): ProviderName {
  const found = option === undefined ? providers[0] : providers.find((provider) => provider === option);
  if (found !== undefined) return found;
  const seen = shown(option ?? '');
  throw new OptionsError(`run: --provider: expected one of ${providers.join(', ')} for ${name}, got ${seen}`);
}

const dateSchema = z.iso.date();

/** The dates of a historical request, as its message has them. */
function readRange({ name }: Job, { start, end }: Invocation['options']): object {
  if (name !== 'historical-market-data') {
    if (start === undefined && end === undefined) return {};
    throw new OptionsError(`run: --start and --end are for historical-market-data, not for ${name}`);
  }
  if (start === undefined) throw new OptionsError('run: historical-market-data needs --start YYYY-MM-DD');
  const today = new Date().toISOString().slice(0, 10);
  return { start_date: readDate('--start', start), end_date: readDate('--end', end ?? today) };
}

function readDate(option: string, text: string): string {
  if (dateSchema.safeParse(text).success) return text;
  throw new OptionsError(`run: ${option}: expected a date that exists, as YYYY-MM-DD, got ${shown(text)}`);
}
