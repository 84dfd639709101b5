import { beforeEach, describe, expect, it, vi } from 'vitest';
import { patience } from '../../../src/cli/worker/openPipelines.ts';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import { limited } from '../../../src/limits/limited.ts';
import { ProviderError } from '../../../src/model/errors.ts';
import { call, summary, wordLengths } from '../../limits/providers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

/** A fetcher of a worker, on a provider that fails while it is told to. */
const open = (fails: (inputs: readonly string[]) => boolean) => {
  const unavailable = new ProviderError('provider_unavailable', 'words: HTTP 503', { retryable: true });
  const provider = wordLengths({
    answer: (inputs) => (fails(inputs) ? Promise.reject(unavailable) : inputs.map((word) => word.length)),
  });
  return limited(provider, creditLimiter({ credits: Infinity }), { ...patience, random: () => 1 });
};

describe('the patience of a worker', () => {
  it('lets a single request outlast a provider that is down for hours', async () => {
    const startedAt = Date.now();
    const fetcher = open(() => Date.now() - startedAt < 5 * 3_600_000);
    let results: unknown;
    void fetcher.fetch(['a', 'bb'], call()).then((fetched) => (results = summary(fetched)));
    await vi.advanceTimersByTimeAsync(4 * 3_600_000);

    expect(results).toBeUndefined();
    expect(fetcher.health?.()).toMatchObject([{ state: 'down' }]);
    await vi.advanceTimersByTimeAsync(3_700_000);
    expect(results).toEqual([1, 2]);
  });

  it('ends for a request that fails while others are served', async () => {
    const fetcher = open((inputs) => inputs.includes('poison'));
    let results: unknown;
    void fetcher.fetch(['poison'], call()).then((fetched) => (results = summary(fetched)));
    for (let second = 0; second < 600; second++) {
      void fetcher.fetch([`good ${second}`], call());
      await vi.advanceTimersByTimeAsync(1_000);
    }

    expect(results).toEqual(['provider_unavailable']);
  });
});
