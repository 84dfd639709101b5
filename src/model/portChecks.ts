import { z } from 'zod';
import { port } from './defineOptions.ts';
import type { Fetcher, Limiter, Provider } from './ports.ts';
import type { Request } from './requests/request.ts';

/** A check for a fetcher. A provider has a `fetch` of its own, which keeps no limit and knows no outcomes. */
export const fetcherCheck = z.custom<Fetcher<unknown, unknown>>((value) => hasFetch(value) && !isProvider(value), {
  error: ({ input }) =>
    isProvider(input)
      ? 'expected a fetcher, not a provider: wrap it with limited(provider, limiter)'
      : 'expected a fetcher',
});

/** A check for a provider, as `limited` wraps it. */
export const providerCheck = z.custom<Provider<unknown, unknown>>(
  (value) =>
    hasFetch(value) && isProvider(value) && typeof (value as Partial<Provider<unknown, unknown>>).cost === 'function',
  { error: 'expected a provider' },
);

export const limiterCheck = port<Limiter>('a limiter, mostly creditLimiter({ credits })', 'run', 'forecast');

/** A check for a request as the functions `parse...Request` return it. */
export const requestCheck = z.custom<Request<unknown>>(
  (value) =>
    z
      .object({
        pipeline: z.enum(['market-data', 'market-index-data', 'historical-market-data']),
        inputs: z.array(z.unknown()),
        refused: z.array(z.unknown()),
      })
      .safeParse(value).success,
  { error: 'expected a request, mostly of parseMarketDataRequest()' },
);

const hasFetch = (value: unknown): boolean => port('a fetch', 'fetch' as never).safeParse(value).success;

/** What no fetcher has. */
function isProvider(value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('maxBatchSize' in value || 'cost' in value);
}
