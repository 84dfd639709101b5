import { z } from 'zod';
import { OptionsError } from '../../index.ts';
import type { Invocation } from '../command.ts';
import type { ProviderName } from '../jobs/fetchers.ts';
import { jobs, type Job, type OpenJob } from '../jobs/jobs.ts';
import { readBatchSizes } from './batchSizes.ts';
import { chooseDatabase, databaseAdvice, type ServerChoice } from './databaseChoice.ts';
import { readMaxMonths } from './maxMonths.ts';
import { shown } from './parseArguments.ts';
import { chooseSymbols, type SymbolSource } from './readSymbols.ts';

/** The options that say what a request asks for, and of whom: those of `run`, and of `plan`. */
export const runOptions = [
  'symbols',
  'file',
  'from-table',
  'start',
  'end',
  'provider',
  'fallback',
  'database',
  'request-id',
  'batch-size',
  'max-months',
];

export interface RunOptions {
  readonly job: Job;
  /** The provider, and the one that is asked for what it cannot serve. */
  readonly providers: readonly ProviderName[];
  readonly symbols: SymbolSource;
  /** The dates of a historical request, as its message has them. */
  readonly range: object;
  readonly openJob: OpenJob;
  /** Undefined: everything is kept in memory. */
  readonly server: ServerChoice | undefined;
  readonly requestId: string | undefined;
}

/** The options and variables of a request, all checked before anything is opened. `command` is for messages. */
export function readRunOptions(
  command: string,
  { positionals, options, environment }: Pick<Invocation, 'positionals' | 'options' | 'environment'>,
): RunOptions {
  const job = findJob(command, positionals[0]);
  const symbols = chooseSymbols(command, options);
  const range = readRange(command, job, options);
  const providers = chooseProviders(command, job, options);
  const choice = chooseDatabase(options['database'], environment);
  if (choice === undefined) {
    throw new OptionsError(
      `${command}: no database is named: ${databaseAdvice}, or --database memory, which keeps nothing`,
    );
  }
  return {
    job,
    providers,
    symbols,
    range,
    openJob: job.open(providers, environment, {
      batchSize: readBatchSizes(command, options['batch-size'], environment)[job.name],
      maxMonths: readMaxMonths(command, options['max-months'], environment),
    }),
    server: choice.kind === 'memory' ? undefined : choice,
    requestId: options['request-id'],
  };
}

/** The ledger key of a request of the command line. */
export function ledgerKey({ name }: Job, requestId: string): string {
  return `run:${name}:${requestId}`;
}

function findJob(command: string, name: string | undefined): Job {
  const names = Object.keys(jobs).join(', ');
  if (name === undefined) throw new OptionsError(`${command}: a pipeline is missing: give one of ${names}`);
  if (Object.hasOwn(jobs, name)) return jobs[name as keyof typeof jobs];
  throw new OptionsError(`${command}: unknown pipeline ${shown(name)}; the pipelines are ${names}`);
}

function chooseProviders(command: string, job: Job, options: Invocation['options']): readonly ProviderName[] {
  const { provider = job.providers[0] ?? '', fallback } = options;
  const first = findProvider(command, job, '--provider', provider);
  if (fallback === undefined) return [first];
  const second = findProvider(command, job, '--fallback', fallback);
  if (second !== first) return [first, second];
  throw new OptionsError(`${command}: --fallback: expected another provider than ${first}`);
}

function findProvider(command: string, { name, providers }: Job, option: string, chosen: string): ProviderName {
  const found = providers.find((provider) => provider === chosen);
  if (found !== undefined) return found;
  const seen = shown(chosen);
  throw new OptionsError(`${command}: ${option}: expected one of ${providers.join(', ')} for ${name}, got ${seen}`);
}

const dateSchema = z.iso.date();

function readRange(
  command: string,
  { name }: Job,
  { start, end, 'max-months': maxMonths }: Invocation['options'],
): object {
  if (name !== 'historical-market-data') {
    if (start === undefined && end === undefined && maxMonths === undefined) return {};
    throw new OptionsError(
      `${command}: --start, --end and --max-months are for historical-market-data, not for ${name}`,
    );
  }
  if (start === undefined) throw new OptionsError(`${command}: historical-market-data needs --start YYYY-MM-DD`);
  const today = new Date().toISOString().slice(0, 10);
  return { start_date: readDate(command, '--start', start), end_date: readDate(command, '--end', end ?? today) };
}

function readDate(command: string, option: string, text: string): string {
  if (dateSchema.safeParse(text).success) return text;
  throw new OptionsError(`${command}: ${option}: expected a date that exists, as YYYY-MM-DD, got ${shown(text)}`);
}
