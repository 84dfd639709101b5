/** The historical pipeline into a real PostgreSQL: the one at DATABASE_URL, or one started for this run. */
import { lastValueFrom } from 'rxjs';
import {
  creditLimiter,
  fromRequest,
  historicalMarketData,
  limited,
  parseHistoricalMarketDataRequest,
  recordedMonthly,
} from 'fintrack-pipelines';
import {
  connectDatabase,
  createReferenceTables,
  migrate,
  monthlyPriceSink,
  startEmbeddedPostgres,
} from 'fintrack-pipelines/postgres';

const configured = process.env['DATABASE_URL'];
const embedded = configured === undefined ? await startEmbeddedPostgres() : undefined;
const database = connectDatabase({ url: configured ?? embedded?.url ?? '' });
try {
  await createReferenceTables({ database });
  await migrate({ database });

  const sink = monthlyPriceSink({ database, provider: 'recorded' });
  const pipeline = historicalMarketData({ fetcher: limited(recordedMonthly(), creditLimiter({ credits: 8 })), sink });
  const request = parseHistoricalMarketDataRequest({
    start_date: '2009-01-31',
    end_date: '2009-12-31',
    assets: [
      { symbol: 'AAPL', asset_type: 'STOCK' },
      { symbol: 'IBM', asset_type: 'STOCK' },
    ],
  });

  for (const run of ['first', 'again']) {
    const { status, record_count } = await lastValueFrom(fromRequest(request, { ledger: sink.ledger }).pipe(pipeline));
    console.log(run, status, record_count);
  }
  // first complete 24
  // again complete 24
} finally {
  await database.close();
  await embedded?.stop();
}
