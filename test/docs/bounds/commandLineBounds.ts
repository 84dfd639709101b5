import { readBatchSizes } from '../../../src/cli/input/batchSizes.ts';
import { chooseDatabase } from '../../../src/cli/input/databaseChoice.ts';
import { readKafka } from '../../../src/cli/input/kafkaVariables.ts';
import { readMaxMonths } from '../../../src/cli/input/maxMonths.ts';
import { readMassive, readRapidApi, readTwelveData } from '../../../src/cli/jobs/providerVariables.ts';
import type { Command } from '../../../src/cli/command.ts';
import { migrate } from '../../../src/cli/commands/migrate.ts';
import { partitions } from '../../../src/cli/commands/partitions.ts';
import { redrive } from '../../../src/cli/commands/redrive.ts';
import { requests } from '../../../src/cli/commands/requests.ts';
import { readWorkOptions } from '../../../src/cli/worker/workOptions.ts';
import { optionBound, type InputBounds } from './inputBound.ts';

const environment = {
  KAFKA_BROKER: 'localhost:9092',
  TWELVE_DATA_API_KEY: 'key-of-twelve',
  RAPIDAPI_KEY: 'key-of-rapid',
  RAPIDAPI_HOST: 'example.com',
  MASSIVE_API_KEY: 'key-of-massive',
  DATABASE_HOST: 'localhost',
  DATABASE_NAME: 'prices',
  DATABASE_USER: 'etl',
};
const billion = 1_000_000_000;

const ofWork = (option: string) => (value: number | string) =>
  readWorkOptions({ options: { database: 'memory', provider: 'simulated', [option]: String(value) }, environment });

const variable = (read: (environment: Readonly<Record<string, string>>) => unknown, name: string) => (value: number) =>
  read({ ...environment, [name]: String(value) });

/** A command that gets no further than to its variables, which are missing. */
const command =
  ({ run }: Command, positionals: readonly string[], option?: string) =>
  async (value: number) => {
    const nobody = { log: () => undefined, result: () => undefined } as never;
    const given = { cwd: '.', writer: nobody, signal: new AbortController().signal, exit: () => undefined };
    const options = option === undefined ? {} : { [option]: String(value) };
    await run({ ...given, positionals, options, environment: {} }).catch((error: unknown) => {
      if (!/KAFKA_BROKER|no database|--yes/.test(String(error))) throw error;
    });
  };

const skipped = (place: (size: number) => readonly [string, string, string]) => (size: number) =>
  command(partitions, ['skip', ...place(size)])(size);

export const commandLineBounds: InputBounds = {
  'batch size, `--batch-size`': optionBound([10_000, 'symbols'], (size) => readBatchSizes('run', String(size), {})),
  'batch size, of a variable': optionBound(
    [10_000, 'symbols'],
    variable((read) => readBatchSizes('run', undefined, read), 'MARKET_DATA_BATCH_SIZE'),
  ),
  'most months, `--max-months`': optionBound([billion, 'months'], (size) => readMaxMonths('run', String(size), {})),
  'most months, `HISTORICAL_MAX_MONTHS`': optionBound(
    [billion, 'months'],
    variable((read) => readMaxMonths('run', undefined, read), 'HISTORICAL_MAX_MONTHS'),
  ),
  'port, `--port`': optionBound([65_535, '(port)'], ofWork('port')),
  'host, `--host`': optionBound([253, 'characters'], (size) => ofWork('host')('h'.repeat(size))),
  'time to drain, `--drain-ms`': optionBound([3_600_000, 'ms'], ofWork('drain-ms')),
  'starts before quarantine, `--quarantine-after`': optionBound([1_000, 'starts'], ofWork('quarantine-after')),
  'starts in quarantine, `--quarantine-starts`': optionBound([1_000, 'starts'], ofWork('quarantine-starts')),
  'dead letters sent again, `redrive --limit`': optionBound(
    [999_999_999, 'records'],
    command(redrive, ['REQUESTS-dlt'], 'limit'),
  ),
  'requests listed, `requests list --limit`': optionBound([10_000, 'requests'], command(requests, ['list'], 'limit')),
  'days kept, `migrate --retention-days`': optionBound([36_500, 'days'], command(migrate, [], 'retention-days')),
  'topic of `partitions skip`': optionBound(
    [249, 'characters'],
    skipped((size) => ['t'.repeat(size), '0', '0']),
  ),
  'partition of `partitions skip`': optionBound(
    [9, 'digits'],
    skipped((size) => ['t', '1'.repeat(size), '0']),
  ),
  'offset of `partitions skip`': optionBound(
    [18, 'digits'],
    skipped((size) => ['t', '0', '1'.repeat(size)]),
  ),
  'session, `KAFKA_CONSUMER_SESSION_TIMEOUT_MS`': optionBound(
    [1_800_000, 'ms'],
    variable(readKafka, 'KAFKA_CONSUMER_SESSION_TIMEOUT_MS'),
  ),
  'port, `DATABASE_PORT`': optionBound(
    [65_535, '(port)'],
    variable((read) => chooseDatabase(undefined, read), 'DATABASE_PORT'),
  ),
  'plan, `TWELVE_DATA_CREDITS_PER_MINUTE`': optionBound(
    [billion, 'credits'],
    variable(readTwelveData, 'TWELVE_DATA_CREDITS_PER_MINUTE'),
  ),
  'plan, `TWELVE_DATA_CREDITS_PER_DAY`': optionBound(
    [billion, 'credits'],
    variable(readTwelveData, 'TWELVE_DATA_CREDITS_PER_DAY'),
  ),
  'plan, `TWELVE_DATA_WINDOW_MS`': optionBound([86_400_000, 'ms'], variable(readTwelveData, 'TWELVE_DATA_WINDOW_MS')),
  'plan, `RAPIDAPI_REQUESTS_PER_SECOND`': optionBound(
    [billion, 'calls'],
    variable(readRapidApi, 'RAPIDAPI_REQUESTS_PER_SECOND'),
  ),
  'plan, `RAPIDAPI_REQUESTS_PER_MONTH`': optionBound(
    [billion, 'calls'],
    variable(readRapidApi, 'RAPIDAPI_REQUESTS_PER_MONTH'),
  ),
  'plan, `MASSIVE_CALLS_PER_MINUTE`': optionBound(
    [billion, 'calls'],
    variable(readMassive, 'MASSIVE_CALLS_PER_MINUTE'),
  ),
  'plan, `MASSIVE_HISTORY_MONTHS`': optionBound([1_200, 'months'], variable(readMassive, 'MASSIVE_HISTORY_MONTHS')),
};
