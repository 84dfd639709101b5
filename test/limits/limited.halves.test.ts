import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import { ProviderError } from '../../src/model/errors.ts';
import { call, summary, wordLengths, words } from './providers.ts';

const tooLarge = new ProviderError('response_too_large', 'words: HTTP 200: response longer than 100 bytes');

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) });
});

/** Answers are too long for more than so many inputs. */
const holding = (most: number) =>
  wordLengths({
    answer: (inputs) => (inputs.length > most ? Promise.reject(tooLarge) : inputs.map(({ length }) => length)),
  });

// Issue 10, item 20.
describe('an answer that is longer than may be read', () => {
  it('is asked again in halves, each paid, as often as it takes, and is no attempt', async () => {
    const provider = holding(2);
    const limiter = creditLimiter({ credits: 1000 });
    const fetched = limited(provider, limiter, {
      maxRetries: 0,
      retryShare: 0,
    }).fetch(words(10), call());
    await vi.advanceTimersByTimeAsync(20_000);
    expect(summary(await fetched)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const sizes = provider.calls.map(({ length }) => length);
    expect(sizes.slice(0, 2)).toEqual([10, 5]);
    expect(sizes.filter((size) => size <= 2).reduce((sum, size) => sum + size, 0)).toBe(10);
    expect(limiter.windows()[0]?.left).toBe(1000 - sizes.reduce((sum, size) => sum + size, 0));
  });

  it('fails the one input for which it is too long, and no other', async () => {
    const provider = wordLengths({
      answer: (inputs) => (inputs.includes('xxx') ? Promise.reject(tooLarge) : inputs.map(({ length }) => length)),
    });
    const fetched = limited(provider, creditLimiter({ credits: 1000 })).fetch(words(8), call());
    await vi.advanceTimersByTimeAsync(20_000);
    expect(summary(await fetched)).toEqual([1, 2, 'response_too_large', 4, 5, 6, 7, 8]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is asked again by every batch that waits for it', async () => {
    const provider = holding(1);
    const fetcher = limited(provider, creditLimiter({ credits: 1000 }));
    const both = [fetcher.fetch(words(3), call()), fetcher.fetch(words(3), call())];
    await vi.advanceTimersByTimeAsync(20_000);
    expect((await Promise.all(both)).map(summary)).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });
});
