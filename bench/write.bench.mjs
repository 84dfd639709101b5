/**
 * Rows a second into PostgreSQL: our sinks against the bare `pg` driver, which does the least that stores the same: the
 * same statement, prepared, on one connection inside begin and commit, and a ledger row with the same outcomes. Both start
 * from the same quotes or months in memory, ours as the outcomes that the fetch stage hands on; ours checks and sorts
 * them, and can tell afterwards what became of each.
 *
 * Batches of 100 rows (quotes of known symbols) and of 12,000 (50 assets x 240 months: new ones, and then changed ones).
 * The contestants take turns in one run. Prints the ratio of their median rates; exit code 1 when one is below 0.85.
 * BENCH_DATABASE_URL names a server to use; otherwise one is started.
 */
import pg from 'pg';
import {
  connectDatabase,
  createReferenceTables,
  marketDataSink,
  migrate,
  monthlyPriceSink,
  startEmbeddedPostgres,
} from 'fintrack-pipelines/postgres';

const least = 0.85;
const given = process.env['BENCH_DATABASE_URL'];
const server = given === undefined ? await startEmbeddedPostgres() : undefined;
const url = given ?? server.url;
const suffix = process.pid;
const { signal } = new AbortController();

const open = (name) =>
  connectDatabase({ url, schema: `bench_${name}_${suffix}`, ownSchema: `bench_${name}_ledger_${suffix}`, poolSize: 1 });
const contestants = { bare: open('bare'), ours: open('ours') };
for (const database of Object.values(contestants)) {
  await createReferenceTables({ database });
  await migrate({ database });
}
const bare = new pg.Client({ connectionString: url });
await bare.connect();

const upsertQuotes = ({ schema, ownSchema }) => `
  with given as (
    select * from unnest($1::text[], $2::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[], $8::float8[])
      as given (symbol, asset_type, price, percent_change, change, high, low, age_ms)
  ), written as (
    insert into ${schema}.market_data as stored (id, symbol, asset_type, price, percent_change, change, high, low, updated_at)
    select coalesce(known.id, nextval('${schema}.market_data_id_seq'::regclass)), given.symbol, given.asset_type, given.price,
      given.percent_change, given.change, given.high, given.low,
      (statement_timestamp() at time zone 'UTC') - given.age_ms * interval '1 millisecond'
    from given left join ${schema}.market_data as known on known.symbol = given.symbol and known.asset_type = given.asset_type
    order by given.symbol collate "C", given.asset_type collate "C"
    on conflict (symbol, asset_type) do update set price = excluded.price, percent_change = excluded.percent_change,
      change = excluded.change, high = excluded.high, low = excluded.low, updated_at = excluded.updated_at
    where stored.updated_at is null or stored.updated_at <= excluded.updated_at
      or stored.updated_at > (statement_timestamp() at time zone 'UTC') + interval '60 seconds'
    returning (xmax = 0) as inserted
  )
  select count(*)::integer as written, count(*) filter (where inserted)::integer as inserted from written`;

const upsertMonths = ({ schema }) => `
  with given as (
    select symbol, asset_type, date, price::numeric(15,6) as price, date_trunc('month', date::timestamp)::date as month
    from unnest($1::text[], $2::text[], $3::date[], $4::numeric[]) as given (symbol, asset_type, date, price)
  ), known as (
    select stored.id, given.symbol, given.asset_type, stored.date, stored.price,
      date_trunc('month', stored.date::timestamp)::date as month
    from (select symbol, asset_type, min(month) as first, max(month) as last from given group by 1, 2) as given
    join ${schema}.market_data_monthly as stored on stored.symbol = given.symbol and stored.asset_type = given.asset_type
      and stored.date >= given.first and stored.date < given.last + interval '1 month'
  ), matched as (
    select known.id, given.symbol, given.asset_type, given.month, given.date, given.price,
      known.date as known_date, known.price as known_price
    from given full join known using (symbol, asset_type, month)
    offset 0
  ), written as (
    insert into ${schema}.market_data_monthly as stored (id, symbol, asset_type, date, price)
    select coalesce(known.id, nextval('${schema}.market_data_monthly_id_seq'::regclass)), symbol, asset_type,
      coalesce(known_date, date), price
    from matched as known
    where date is not null and (known_date is null or known_price is distinct from price)
    order by symbol collate "C", asset_type collate "C", month
    on conflict (symbol, date, asset_type) do update set price = excluded.price
    where stored.price is distinct from excluded.price
    returning (xmax = 0) as inserted
  )
  select count(*)::integer as written, count(*) filter (where inserted)::integer as inserted from written`;

const insertLedgerRow = ({ ownSchema }) => `
  insert into ${ownSchema}.batches (request, number, outcomes, ok, inserted, updated, transactions)
  values ($1, $2, $3, $4, $5, $6, 1)`;

async function writeBare({ name, text, values, outcomes, request, number }) {
  await bare.query('begin');
  const { rows } = await bare.query({ name, text, values });
  const [{ written, inserted }] = rows;
  await bare.query({
    name: `${name}-ledger`,
    text: insertLedgerRow(contestants.bare),
    values: [request, number, JSON.stringify(outcomes), outcomes.length, inserted, written - inserted],
  });
  await bare.query('commit');
}

const quotesOf = (batch, version) =>
  Array.from({ length: 100 }, (_, row) => {
    const price = `${100 + row}.${String(version % 10_000).padStart(4, '0')}`;
    const asset = { symbol: `S${String(batch * 100 + row).padStart(6, '0')}`, assetType: 'STOCK' };
    return { ...asset, price, change: '-0.2500', percentChange: '-1.2500', high: price, low: price };
  });

const assetsOf = (batch, version) =>
  Array.from({ length: 50 }, (_, row) => {
    const asset = { symbol: `M${batch}-${row}`, assetType: 'STOCK' };
    const prices = Array.from({ length: 240 }, (_, month) => {
      const date = `${2004 + Math.floor(month / 12)}-${String((month % 12) + 1).padStart(2, '0')}-01`;
      return { date, price: `${50 + month}.${version}${String(row).padStart(2, '0')}` };
    });
    return { ...asset, recordCount: prices.length, prices };
  });

const quoteSink = marketDataSink({ database: contestants.ours });
const monthSink = monthlyPriceSink({ database: contestants.ours, provider: 'bench' });
const outcomeOf = (input, value) => ({
  status: 'ok',
  input,
  value,
  provider: 'bench',
  receivedAtMs: performance.now(),
});
const writeSink = async (sink, { outcomes, request, number }) => {
  const { failed } = await sink.write({ index: number, request, outcomes }, { signal });
  if (failed.length > 0) throw failed[0].error;
};

const writers = {
  quotes: {
    bare: ({ values, request, number }) => {
      const column = (field) => values.map((quote) => quote[field]);
      const arrays = ['symbol', 'assetType', 'price', 'percentChange', 'change', 'high', 'low'].map(column);
      return writeBare({
        name: 'quotes',
        text: upsertQuotes(contestants.bare),
        values: [...arrays, values.map(() => 0)],
        outcomes: values.map(({ symbol, assetType, price, change, percentChange, high, low }) => ({
          ok: [symbol, assetType],
          value: [price, change, percentChange, high, low],
          by: 'bench',
        })),
        request,
        number,
      });
    },
    ours: (work) => writeSink(quoteSink, work),
    outcome: (value) => outcomeOf({ symbol: value.symbol, assetType: value.assetType }, value),
  },
  months: {
    bare: ({ values, request, number }) => {
      const rows = values.flatMap(({ prices, ...asset }) => prices.map((price) => ({ ...asset, ...price })));
      const column = (field) => rows.map((row) => row[field]);
      return writeBare({
        name: 'months',
        text: upsertMonths(contestants.bare),
        values: ['symbol', 'assetType', 'date', 'price'].map(column),
        outcomes: values.map(({ symbol, assetType, recordCount }) => ({
          ok: [symbol, assetType, '2004-01-01', '2023-12-31'],
          value: recordCount,
          by: 'bench',
        })),
        request,
        number,
      });
    },
    ours: (work) => writeSink(monthSink, work),
    outcome: (value) =>
      outcomeOf(
        { symbol: value.symbol, assetType: value.assetType, startDate: '2004-01-01', endDate: '2023-12-31' },
        value,
      ),
  },
};

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
let number = 0;

/** Writes `batches` batches with both, by turns, and answers the median milliseconds a batch of each. */
async function race(writer, batches, make) {
  const took = { bare: [], ours: [] };
  for (let turn = 0; turn < batches; turn += 1) {
    const values = make(turn);
    const outcomes = values.map(writer.outcome);
    const order = turn % 2 === 0 ? ['bare', 'ours'] : ['ours', 'bare'];
    number += 1;
    for (const contestant of order) {
      const startedAt = performance.now();
      await writer[contestant]({ values, outcomes, request: 'bench', number });
      took[contestant].push(performance.now() - startedAt);
    }
  }
  return { bare: median(took.bare), ours: median(took.ours) };
}

let missed = false;
function report(what, rows, { bare, ours }) {
  const ratio = bare / ours;
  missed ||= ratio < least;
  const rate = (milliseconds) => `${Math.round((rows / milliseconds) * 1000).toLocaleString('en')} rows/s`;
  console.log(
    `${what.padEnd(34)} ours ${rate(ours).padStart(15)}, bare pg ${rate(bare).padStart(15)}, ratio ${ratio.toFixed(2)}`,
  );
}

await race(writers.quotes, 300, (turn) => quotesOf(turn % 20, turn));
report('100 quotes a batch', 100, await race(writers.quotes, 3000, (turn) => quotesOf(turn % 20, turn + 300)));
await race(writers.months, 6, (turn) => assetsOf(turn + 100, 1));
report('12,000 months a batch, new', 12_000, await race(writers.months, 20, (turn) => assetsOf(turn, 1)));
report('12,000 months a batch, changed', 12_000, await race(writers.months, 20, (turn) => assetsOf(turn, 2)));
report('12,000 months a batch, unchanged', 12_000, await race(writers.months, 20, (turn) => assetsOf(turn, 2)));

await bare.query(
  Object.values(contestants)
    .flatMap(({ schema, ownSchema }) => [`drop schema ${schema} cascade`, `drop schema ${ownSchema} cascade`])
    .join(';'),
);
await bare.end();
for (const database of Object.values(contestants)) await database.close();
await server?.stop();
if (missed) {
  console.error(`Expected a ratio of at least ${least}.`);
  process.exitCode = 1;
}
