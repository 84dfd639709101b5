import { sql } from '@databases/pg';
import type { SeenRecord } from './Answers.ts';
import { batchesOf, isShared, lanes, rowsOf, topics, type Lane } from './requests.ts';
import type { SentRequest } from './benchKafka.ts';
import { groupId, type WorkerBench } from './workerBench.ts';

/** Clocks of processes on one machine differ by less. */
const clockToleranceMs = 2;

/** All that is wrong with what has become of the requests: nothing, where the workers kept their promises. */
export async function findProblems(bench: WorkerBench): Promise<string[]> {
  const surprises = bench.workers.flatMap(({ process }) => process.surprises);
  return [
    ...surprises,
    ...problemsOfAnswers(bench),
    ...(await problemsOfRows(bench)),
    ...(await problemsOfLedger(bench)),
    ...problemsOfBlame(bench),
    ...(await problemsOfOffsets(bench)),
  ];
}

/** Whether each request has an answer, one or more. */
export function isAllAnswered({ sent, answers }: WorkerBench): boolean {
  const seen = new Set(answers.records.filter(isCompletion).map(({ key }) => key));
  return sent.every(({ key }) => seen.has(key));
}

function isCompletion({ topic }: SeenRecord): boolean {
  return lanes.some((lane) => topics[lane].completion === topic);
}

function problemsOfAnswers({ sent, answers }: WorkerBench): string[] {
  const completions = groupByKey(answers.records.filter(isCompletion));
  const deadLetters = answers.records.filter((record) => !isCompletion(record));
  const problems = sent.flatMap((request) => [
    ...problemsOfAnswer(request, completions.get(request.key) ?? []),
    ...problemsOfDeadLetters(request, deadLetters),
  ]);
  const known = new Set(sent.map(({ key }) => key));
  for (const key of completions.keys()) if (!known.has(key)) problems.push(`${key}: answered, and never asked`);
  return problems;
}

function problemsOfAnswer(request: SentRequest, found: readonly SeenRecord[]): string[] {
  const { key, isMalformed, symbols, lane } = request;
  if (found.length === 0) return [`${key}: lost, a request for ${symbols.length} symbols`];
  const [record] = found;
  if (record === undefined || found.length > 1) {
    const places = found.map(({ partition, offset }) => `${partition}-${offset}`);
    return [`${key}: ${found.length} completions, at ${places.join(', ')}`];
  }
  const problems: string[] = [];
  if (record.topic !== topics[lane].completion) problems.push(`${key}: answered on ${record.topic}`);
  const event = JSON.parse(String(record.value)) as Record<string, unknown>;
  const isFailed = event['status'] === 'failed';
  if (isFailed !== (isMalformed || symbols.every((symbol) => symbol.endsWith('X')))) {
    problems.push(`${key}: ${JSON.stringify(event).slice(0, 300)}`);
  }
  const expected = [...symbols].sort().join(' ');
  if (namesIn(event).sort().join(' ') !== expected) {
    problems.push(`${key}: expected ${symbols.length} symbols, each once: ${JSON.stringify(event).slice(0, 300)}`);
  }
  return problems;
}

/** All that an event names, as often as it does. */
function namesIn(event: Record<string, unknown>): string[] {
  const served = event['assets'] ?? event['symbols'];
  return [served, event['failed'], event['skipped']].flatMap((list) =>
    Array.isArray(list) ? list.map((entry) => (entry as { symbol: string }).symbol) : [],
  );
}

function problemsOfDeadLetters(
  { key, topic, partition, offset, isMalformed, value }: SentRequest,
  all: readonly SeenRecord[],
) {
  const found = all.filter(
    (record) =>
      record.topic === `${topic}-dlt` &&
      record.partition === partition &&
      toBuffer(record.headers?.['kafka_dlt-original-offset']).readBigInt64BE().toString() === offset,
  );
  if (found.length !== (isMalformed ? 1 : 0)) return [`${key}: ${found.length} dead letters`];
  const isSame = found.every(
    (record) => (record.value?.equals(value ?? Buffer.of()) ?? value === null) || value === null,
  );
  return isSame ? [] : [`${key}: its dead letter has another value`];
}

function toBuffer(header: unknown): Buffer {
  return Buffer.isBuffer(header) ? header : Buffer.alloc(8);
}

async function problemsOfRows({ database, sent }: WorkerBench): Promise<string[]> {
  const table = (name: string) => sql.ident(database.schema, name);
  const read = async (lane: Lane): Promise<{ row: string }[]> => {
    const queries = {
      market: sql`select symbol || ' ' || round(price, 2) as row from ${table('market_data')}`,
      index: sql`select symbol || ' ' || round(price, 2) as row from ${table('market_index_data')}`,
      historical: sql`select symbol || ' ' || date || ' ' || round(price, 2) as row from ${table('market_data_monthly')}`,
    };
    return (await database.pool.query(queries[lane])) as { row: string }[];
  };
  const expected = rowsOf(sent);
  const problems: string[] = [];
  for (const lane of lanes) {
    const rows = (await read(lane)).map(({ row }) => row).sort();
    const [wanted, there] = [new Set(expected[lane]), new Set(rows)];
    const differing = [...wanted].filter((row) => !there.has(row)).concat(rows.filter((row) => !wanted.has(row)));
    if (rows.length !== expected[lane].length || differing.length > 0) {
      problems.push(
        `${lane}: ${rows.length} rows, expected ${wanted.size}; ${differing.slice(0, 5).join(', ')} differ`,
      );
    }
  }
  return problems;
}

interface LedgerRow {
  readonly request: string;
  readonly number: number;
  readonly committed_ms: number;
}

/** Each batch once, and none fetched by a worker that could know that it was done. */
async function problemsOfLedger(bench: WorkerBench): Promise<string[]> {
  const rows = (await bench.database.pool.query(sql`
    select request, number, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000)::float8 as committed_ms
    from ${sql.ident(bench.database.ownSchema, 'batches')}`)) as LedgerRow[];
  const committed = new Map(rows.map((row) => [`${row.request}#${row.number}`, row.committed_ms]));
  const problems: string[] = [];
  const expected = bench.sent.reduce((sum, request) => sum + batchesOf(request), 0);
  if (rows.length !== expected) problems.push(`the ledger has ${rows.length} batches, expected ${expected}`);

  const batchOf = new Map(
    bench.sent.flatMap(({ key, symbols, batchSize }) =>
      symbols.map((symbol, index) => [symbol, { key, batch: Math.floor(index / batchSize) }] as const),
    ),
  );
  for (const { worker: number, atMs, symbols } of bench.prices.calls) {
    const worker = bench.workers[number]!;
    const startMs = worker.process.startsMs.findLast((each) => each <= atMs) ?? 0;
    const batches = new Map(
      symbols.map((symbol) => batchOf.get(symbol)!).map((each) => [`${each.key}#${each.batch}`, each]),
    );
    for (const [name, { key, batch }] of batches) {
      const committedMs = committed.get(name) ?? Infinity;
      if (atMs <= committedMs + clockToleranceMs) continue;
      const lookMs = worker.wire.looks.lastBefore(key, batch, atMs) ?? 0;
      // It looked before the row was there, or else it knew better.
      if (lookMs >= startMs && lookMs <= committedMs + clockToleranceMs) continue;
      problems.push(
        `${name}: worker ${number} fetched it ${Math.round(atMs - committedMs)} ms after it was committed, ` +
          (lookMs < startMs
            ? 'without a look into the ledger'
            : `and ${Math.round(atMs - lookMs)} ms after its last look`),
      );
    }
  }
  return problems;
}

/** Starts of a request, or of a batch of one, that nobody handed back; the last one is mostly that of the answer. */
async function openStarts({ database }: WorkerBench): Promise<{ readonly request: string; readonly starts: number }[]> {
  return (await database.pool.query(
    sql`select request, cardinality(tokens) as starts from ${sql.ident(database.ownSchema, 'starts')}`,
  )) as { request: string; starts: number }[];
}

/** Issue 10, item 10: no request is blamed for the end of a worker that was killed for another reason. */
function problemsOfBlame({ answers }: WorkerBench): string[] {
  const exhausted = answers.records.filter(({ value }) => value?.includes('request_exhausted') ?? false);
  return exhausted.map(({ key, topic }) => `${key}: exhausted, says ${topic}`);
}

/** How often the starts of one request were lost, for people. */
export async function lostStarts(bench: WorkerBench): Promise<string> {
  const lost = (await openStarts(bench)).map(({ starts }) => Math.max(0, starts - 1));
  const counts = [1, 2, 3, 4].map((count) => `${lost.filter((each) => each === count).length} lost ${count}`);
  return `of ${lost.length} requests and batches that were started ${counts.join(', ')} starts`;
}

/** The group has done all that there was. */
async function problemsOfOffsets({ admin }: WorkerBench): Promise<string[]> {
  const problems: string[] = [];
  for (const lane of lanes) {
    const topic = topics[lane].request;
    const ends = await admin.fetchTopicOffsets(topic);
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
    for (const { partition, offset } of ends) {
      const committed = found?.partitions.find((each) => each.partition === partition)?.offset ?? 'none';
      if (committed !== offset && !(committed === '-1' && offset === '0')) {
        problems.push(`${topic}-${partition}: the offset is ${committed}, and ${offset} records are there`);
      }
    }
  }
  return problems;
}

/** What a run did, for people. */
export function figuresOf({ sent, kills, prices, workers }: WorkerBench): string {
  const symbols = sent.flatMap((request) => request.symbols).length;
  const fetched = prices.calls.flatMap((call) => call.symbols).length;
  const killed = [...kills].map(([point, count]) => `${count} ${point}`);
  const total = [...kills.values()].reduce((sum, count) => sum + count, 0);
  const starts = workers.reduce((sum, { process }) => sum + process.startsMs.length, 0);
  const shared = sent.filter(isShared).length;
  return `${total} kills (${killed.join(', ')}), ${starts} starts, ${sent.length} requests (${shared} of them shared) for ${symbols} symbols, ${fetched} fetched`;
}

function groupByKey(records: readonly SeenRecord[]): Map<string, SeenRecord[]> {
  const groups = new Map<string, SeenRecord[]>();
  for (const record of records) groups.set(record.key, [...(groups.get(record.key) ?? []), record]);
  return groups;
}
