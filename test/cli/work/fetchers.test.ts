import { describe, expect, it } from 'vitest';
import {
  indexFetchers,
  monthlyFetchers,
  quoteFetchers,
  spacingMs,
  type Fetchers,
} from '../../../src/cli/work/fetchers.ts';

describe('the fetchers', () => {
  it('name the default provider of each pipeline first', () => {
    expect([quoteFetchers, indexFetchers, monthlyFetchers].map((fetchers) => Object.keys(fetchers))).toEqual([
      ['twelve-data', 'recorded', 'simulated'],
      ['yahoo-rapidapi', 'recorded', 'simulated'],
      ['twelve-data', 'recorded', 'simulated'],
    ]);
  });

  it('carry the name of their provider', () => {
    const environment = { TWELVE_DATA_API_KEY: 'key', RAPIDAPI_KEY: 'key', RAPIDAPI_HOST: 'api.example.com' };

    const opened = [quoteFetchers, indexFetchers, monthlyFetchers].flatMap((fetchers: Fetchers<never, unknown>) =>
      Object.entries(fetchers).map(([name, open]) => [name, open(environment).name]),
    );

    expect(opened).toHaveLength(9);
    for (const [name, ofProvider] of opened) expect(ofProvider).toBe(name);
  });
});

describe('spacingMs', () => {
  it.each([1, 3, 5, 1000])('keeps %d calls a second apart by a second and some head room', (callsPerSecond) => {
    expect(spacingMs(callsPerSecond) * callsPerSecond).toBeGreaterThanOrEqual(1250);
  });
});
