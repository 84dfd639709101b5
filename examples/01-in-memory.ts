/** The market data pipeline on recorded real prices, everything in memory: no network, no database. */
import { lastValueFrom } from 'rxjs';
import {
  creditLimiter,
  fromRequest,
  limited,
  marketData,
  memoryBus,
  memorySink,
  parseMarketDataRequest,
  recordedQuotes,
  type ProgressEvent,
} from 'fintrack-pipelines';

const request = parseMarketDataRequest({
  assets: ['AAPL', 'MSFT', 'NOPE'].map((symbol) => ({ symbol, asset_type: 'STOCK' })),
  account_id: 'user123',
});

const progress = memoryBus<ProgressEvent>();
const pipeline = marketData({
  fetcher: limited(recordedQuotes(), creditLimiter({ credits: 8 })),
  sink: memorySink(),
  progress,
});

const completed = await lastValueFrom(fromRequest(request).pipe(pipeline));

console.log(completed.status, completed.totalBatches, completed.totalAssets, completed.account_id);
// partial 1 3 user123
for (const { symbol, price } of completed.assets ?? []) console.log(symbol, price);
// AAPL 223.02
// MSFT 28.8
for (const { symbol, reason } of completed.failed) console.log(symbol, reason);
// NOPE symbol_unknown
console.log(progress.events.map(({ batch, totalBatches, ok, failed }) => ({ batch, totalBatches, ok, failed })));
// [ { batch: 1, totalBatches: 1, ok: 2, failed: 1 } ]
