import { describe, expect, it, vi } from 'vitest';
import type { Fetcher } from '../../../src/index.ts';
import {
  indexFetchers,
  inTurn,
  monthlyFetchers,
  quoteFetchers,
  type Fetchers,
  type OpenFetcher,
} from '../../../src/cli/jobs/fetchers.ts';

const environment = {
  TWELVE_DATA_API_KEY: 'key',
  RAPIDAPI_KEY: 'key',
  RAPIDAPI_HOST: 'api.example.com',
  MASSIVE_API_KEY: 'key',
};

describe('the fetchers', () => {
  it('name the default provider of each pipeline first', () => {
    expect([quoteFetchers, indexFetchers, monthlyFetchers].map((fetchers) => Object.keys(fetchers))).toEqual([
      ['twelve-data', 'frankfurter', 'recorded', 'simulated'],
      ['yahoo-rapidapi', 'recorded', 'simulated'],
      ['twelve-data', 'massive', 'frankfurter', 'recorded', 'simulated'],
    ]);
  });

  it('carry the name of their provider', () => {
    const opened = [quoteFetchers, indexFetchers, monthlyFetchers].flatMap((fetchers: Fetchers<never, unknown>) =>
      Object.entries(fetchers).map(([name, read]) => [name, read(environment)(undefined).fetcher.name]),
    );

    expect(opened).toHaveLength(12);
    for (const [name, ofProvider] of opened) expect(ofProvider).toBe(name);
  });

  it.each<[string, Fetchers<never, unknown>, keyof Fetchers<never, unknown>, readonly [number, number | undefined][]]>([
    [
      'minutes and days of Twelve Data',
      quoteFetchers,
      'twelve-data',
      [
        [8, undefined],
        [800, 86_400_000],
      ],
    ],
    ['minutes of Massive', monthlyFetchers, 'massive', [[5, undefined]]],
    ['months of RapidAPI', indexFetchers, 'yahoo-rapidapi', [[500, 30 * 86_400_000]]],
    ['nothing of recorded prices', quoteFetchers, 'recorded', []],
  ])('count %s', (_, fetchers, name, windows) => {
    vi.useFakeTimers({ now: Date.UTC(2026, 10, 24) });
    const opened = fetchers[name]?.(environment)(undefined);
    const seen = opened?.fetcher.estimate?.([]).windows ?? [];
    expect(seen.map(({ credits, windowMs, endsAt }) => [credits, endsAt && windowMs])).toEqual(windows);
  });

  it('count no days where the plan has no bound', () => {
    const opened = quoteFetchers['twelve-data']?.({ ...environment, TWELVE_DATA_CREDITS_PER_DAY: 'none' })(undefined);
    expect(opened?.fetcher.estimate?.([]).windows).toMatchObject([{ credits: 8 }]);
  });
});

describe('inTurn', () => {
  const failing = (code: 'quota' | 'none', closed: () => void): OpenFetcher<string, number> => {
    const fetch: Fetcher<string, number>['fetch'] = (inputs) =>
      Promise.resolve(
        inputs.map(() =>
          code === 'quota'
            ? ({ status: 'skipped', reason: 'quota' } as const)
            : ({ status: 'ok', value: 1, provider: 'second', receivedAtMs: 0 } as const),
        ),
      );
    return {
      fetcher: { name: code, fetch },
      [Symbol.asyncDispose]: () => {
        closed();
        return Promise.resolve();
      },
    };
  };

  it('asks the next for what the first cannot serve, and closes them all', async () => {
    const closed = vi.fn();
    const openers = [() => failing('quota', closed), () => failing('none', closed)];
    const opened = inTurn(openers)(undefined);
    const [fetched] = await opened.fetcher.fetch(['A'], { signal: new AbortController().signal });
    await opened[Symbol.asyncDispose]();
    expect(fetched).toMatchObject({ status: 'ok', provider: 'second' });
    expect(closed).toHaveBeenCalledTimes(2);
  });

  it('is the fetcher itself where there is only one', () => {
    const open = () => failing('none', () => undefined);
    expect(inTurn([open])).toBe(open);
  });
});
