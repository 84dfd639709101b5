/** A pipeline of your own: the operators between ordinary RxJS ones, with a filter and a map in the middle. */
import { filter, map } from 'rxjs';
import {
  batch,
  creditLimiter,
  fromPull,
  limited,
  memorySink,
  recordedQuotes,
  summarize,
  throttledFetch,
  writeTo,
  type Asset,
  type Quote,
} from 'fintrack-pipelines';

/** Any iterable is a source: it is pulled only as fast as the slowest stage below takes its items. */
function* watchlist(): Generator<string> {
  yield* ['aapl', 'msft', 'ibm', 'test-1', 'goog', 'test-2'];
}

const sink = memorySink<Asset, Quote>();

fromPull(() => watchlist())
  .pipe(
    filter((symbol) => !symbol.startsWith('test-')),
    map((symbol): Asset => ({ symbol: symbol.toUpperCase(), assetType: 'STOCK' })),
    batch({ batchSize: 2 }),
    throttledFetch({ fetcher: limited(recordedQuotes(), creditLimiter({ credits: 8 })) }),
    // Only what rose this month is worth a row.
    map((group) => ({
      ...group,
      outcomes: group.outcomes.filter((outcome) => outcome.status !== 'ok' || Number(outcome.value.change) > 0),
    })),
    writeTo({ sink }),
    summarize(),
  )
  .subscribe(({ counts, batches }) => console.log(counts.ok, 'rose, in', batches.length, 'batches'));
// 3 rose, in 2 batches
