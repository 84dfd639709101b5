import { describe, expectTypeOf, it } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { firstOf } from '../../src/limits/firstOf.ts';
import { limited } from '../../src/limits/limited.ts';
import type { Fetcher, Provider } from '../../src/model/ports.ts';
import type { Asset, Quote } from '../../src/model/records.ts';

declare const quotes: Provider<Asset, Quote>;
declare const words: Provider<string, number>;
const limiter = creditLimiter({ credits: 8 });

describe('the types of fetchers', () => {
  it('follow from the provider', () => {
    expectTypeOf(limited(quotes, limiter)).toEqualTypeOf<Fetcher<Asset, Quote>>();
    expectTypeOf(firstOf(limited(quotes, limiter), limited(quotes, limiter))).toEqualTypeOf<Fetcher<Asset, Quote>>();
  });

  it('keep fetchers of other inputs apart', () => {
    // @ts-expect-error: a word is no asset
    firstOf<Asset, Quote>(limited(quotes, limiter), limited(words, limiter));
    // @ts-expect-error: a misspelled option
    limited(quotes, limiter, { timeout: 1 });
  });
});
