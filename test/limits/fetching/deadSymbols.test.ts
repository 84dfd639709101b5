import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import { DeadSymbols } from '../../../src/limits/fetching/deadSymbols.ts';
import { limited } from '../../../src/limits/limited.ts';
import { ProviderError } from '../../../src/model/errors.ts';
import type { Provider } from '../../../src/model/ports.ts';
import { expectWindow } from '../../../src/testing/expectWindow.ts';
import { quotaServer } from '../../../src/testing/quotaServer.ts';
import { call, summary, wordLengths } from '../providers.ts';
import { seeded } from '../traffic.ts';

const hourMs = 3_600_000;
const unknown = (word: string) => new ProviderError('symbol_unknown', `words: ${word}: unknown`);
const isDead = (word: string): boolean => word.startsWith('?');
const answer = (words: readonly string[]) => words.map((word) => (isDead(word) ? unknown(word) : word.length));
const named = (count: number, prefix = 'word'): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

beforeEach(() => {
  vi.useFakeTimers();
});

const serve = async (fetcher: ReturnType<typeof limited<string, number>>, inputs: readonly string[], ms = 1_000) => {
  const fetched = fetcher.fetch(inputs, call());
  await vi.advanceTimersByTimeAsync(ms);
  return summary(await fetched);
};

const open = (options: Parameters<typeof limited>[2] = {}) => {
  const provider = wordLengths({ answer });
  return { provider, fetcher: limited(provider, creditLimiter({ credits: Infinity }), options) };
};

describe('a symbol that the provider does not know', () => {
  it('is not asked for again for 6 hours, by any batch, and fails with what was said of it', async () => {
    const { provider, fetcher } = open();
    await serve(fetcher, [...named(9), '?']);
    expect(await serve(fetcher, ['?', 'word'])).toEqual(['symbol_unknown', 4]);
    expect(provider.calls).toEqual([[...named(9), '?'], ['word']]);
    expect(await serve(fetcher, ['?'])).toEqual(['symbol_unknown']);
    expect(provider.calls).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(6 * hourMs);
    await serve(fetcher, ['?']);
    expect(provider.calls.at(-1)).toEqual(['?']);
  });

  it('is asked for again after the time that the option says', async () => {
    const { provider, fetcher } = open({ deadSymbolMs: 10_000 });
    await serve(fetcher, [...named(9), '?']);
    await serve(fetcher, ['?']);
    expect(provider.calls).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(10_000);
    await serve(fetcher, ['?']);
    expect(provider.calls).toHaveLength(2);
    const forgetful = open({ deadSymbolMs: 0 });
    await serve(forgetful.fetcher, [...named(9), '?']);
    await serve(forgetful.fetcher, ['?']);
    expect(forgetful.provider.calls).toHaveLength(2);
  });

  it.each([
    ['one of one', 0, 1, false],
    ['one of four', 3, 1, false],
    ['one of five', 4, 1, true],
    ['two of ten', 8, 2, true],
    ['three of ten', 7, 3, false],
    ['all of ten', 0, 10, false],
  ])('is remembered unless too many of its batch are: %s', async (_name, alive, dead, isRemembered) => {
    const { provider, fetcher } = open();
    await serve(fetcher, [...named(alive), ...named(dead, '?')]);
    await serve(fetcher, ['?0']);
    expect(provider.calls).toHaveLength(isRemembered ? 1 : 2);
  });

  it('is one that the provider says it does not know: no other failure is remembered', async () => {
    const rejected = new ProviderError('not_in_plan', 'words: no');
    const provider = wordLengths({ answer: (words) => words.map(() => rejected) });
    const fetcher = limited(provider, creditLimiter({ credits: Infinity }));
    await serve(fetcher, ['a']);
    await serve(fetcher, ['a']);
    expect(provider.calls).toHaveLength(2);
  });

  it('is left out of a batch that has been waiting for credits since before it was known', async () => {
    const provider = wordLengths({ answer });
    const fetcher = limited(provider, creditLimiter({ credits: 6 }));
    const first = fetcher.fetch(['?', ...named(11)], call());
    await vi.advanceTimersByTimeAsync(1_000);
    const second = fetcher.fetch(['word', '?'], call());
    await vi.advanceTimersByTimeAsync(180_000);
    expect([summary(await first)[0], summary(await second)]).toEqual(['symbol_unknown', [4, 'symbol_unknown']]);
    expect(provider.calls).toEqual([['?', ...named(5)], named(11).slice(5), ['word']]);
  });

  it('costs its credits once: 34 among 1,536 take no longer than 1,536 that are known', async () => {
    const run = async (inputs: readonly string[]) => {
      const server = quotaServer({ credits: 55, random: seeded(1) });
      const provider: Provider<string, number> = {
        name: 'words',
        maxBatchSize: 120,
        cost: (words) => words.length,
        fetch: async (words, { signal, report }) => {
          report(await server.send(words.length, { signal }));
          return answer(words);
        },
      };
      const fetcher = limited(provider, creditLimiter({ credits: 55 }));
      const startedAt = performance.now();
      let endedAt = 0;
      const batches = Array.from({ length: 16 }, (_, n) => inputs.slice(n * 100, n * 100 + 100));
      const fetched = Promise.all(batches.map((batch) => fetcher.fetch(batch, call())));
      void fetched.then(() => (endedAt = performance.now()));
      await vi.advanceTimersByTimeAsync(hourMs);
      expectWindow(server.arrivals, { limit: 55, windowMs: 60_000 });
      const credits = server.arrivals.reduce((sum, arrival) => sum + arrival.credits, 0);
      return { outcomes: summary((await fetched).flat()), credits, durationMs: endedAt - startedAt };
    };
    const alive = named(1_536);
    const some = alive.map((word, index) => (index % 45 === 7 ? `?${word}` : word));
    const [all, most] = [await run(alive), await run(some)];
    expect(most.outcomes.filter((outcome) => outcome === 'symbol_unknown')).toHaveLength(34);
    expect([all.credits, most.credits]).toEqual([1_536, 1_536]);
    expect(most.durationMs / all.durationMs).toBeLessThan(1.01);
  });
});

describe('the memory of dead symbols', () => {
  it('holds no more than 10,000, the latest', () => {
    const dead = new DeadSymbols(hourMs);
    const error = unknown('?');
    for (let batch = 0; batch < 3; batch += 1) {
      dead.remember(new Map(Array.from({ length: 5_000 }, (_, n) => [`${batch}-${n}`, error])));
    }
    expect(dead.size).toBe(10_000);
    expect([dead.errorOf('0-0'), dead.errorOf('1-0'), dead.errorOf('2-4999')]).toEqual([undefined, error, error]);
  });
});
