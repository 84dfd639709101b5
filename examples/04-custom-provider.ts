/** A market-data API of your own: one object. The limiter, retries and batches come from the library. */
import { from } from 'rxjs';
import {
  batch,
  creditLimiter,
  limited,
  ProviderError,
  RateLimitError,
  summarize,
  throttledFetch,
  type MarketIndex,
  type Provider,
} from 'fintrack-pipelines';

interface Rate extends MarketIndex {
  readonly rate: string;
}

/** Exchange rates to the euro, from an API that serves up to 30 currencies in one call for one credit. */
const euroRates = (baseUrl: string): Provider<MarketIndex, Rate> => ({
  name: 'euro-rates',
  maxBatchSize: 30,
  cost: () => 1,
  async fetch(currencies, { signal }) {
    const wanted = currencies.map(({ symbol }) => symbol);
    const response = await fetch(`${baseUrl}/rates?symbols=${encodeURIComponent(wanted.join(','))}`, { signal });
    if (response.status === 429) throw new RateLimitError('euro-rates', { retryAfterMs: 60_000 });
    const rates = (await response.json()) as Partial<Record<string, string>>;
    return wanted.map((symbol) => {
      const rate = rates[symbol];
      return rate === undefined ? new ProviderError('symbol_unknown', `euro-rates: ${symbol}`) : { symbol, rate };
    });
  },
});

const api = 'data:application/json,{"USD":"1.1257","GBP":"0.8534"}#';
const fetcher = limited(euroRates(api), creditLimiter({ credits: 5 }));
from([{ symbol: 'USD' }, { symbol: 'ZZZ' }])
  .pipe(batch(), throttledFetch({ fetcher }), summarize())
  .subscribe(({ counts }) => console.log(counts));
// { ok: 1, fresh: 0, failed: 1, skipped: 0 }
