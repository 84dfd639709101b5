import { describe, expect, it, vi } from 'vitest';
import { isDecimal, percentBetween, subtractDecimals } from '../../../src/model/decimal.ts';
import { PipelineError } from '../../../src/model/errors.ts';
import type { Asset, Quote } from '../../../src/model/records.ts';
import { simulatedIndexes } from '../../../src/providers/simulated/simulatedIndexes.ts';
import { simulatedMonthly } from '../../../src/providers/simulated/simulatedMonthly.ts';
import { simulatedQuotes, type SimulatedOptions } from '../../../src/providers/simulated/simulatedQuotes.ts';
import { providerContract, type ContractCase, type ProviderScenario } from '../../../src/testing/providerContract.ts';
import { openCall } from '../support/loopbackServer.ts';

const stock = (symbol: string): Asset => ({ symbol, assetType: 'STOCK' });
const many = Array.from({ length: 1000 }, (_, index) => stock(`SYM${index}`));

const optionsOf = {
  serves: { unknownRate: 0.2, seed: 5 },
  hangs: { latencyMs: 600_000 },
  'rate-limited': { quota: { credits: 0.5, windowMs: 1000 } },
  down: { transientRate: 1 },
} satisfies Partial<Record<ProviderScenario, SimulatedOptions>>;

type Scenario = keyof typeof optionsOf;
const scenarios = Object.keys(optionsOf) as Scenario[];

/** Symbols by what the seed of `serves` makes of them. */
const answers = await simulatedQuotes(optionsOf.serves).fetch(many.slice(0, 60), openCall().call);
const isKnown = (_: unknown, index: number): boolean => !PipelineError.isInstance(answers[index]);
const known = many.slice(0, 60).filter(isKnown).slice(0, 5);
const unknown = many.find((_, index) => index < 60 && !isKnown(_, index))!;
const dates = { startDate: '2026-01-31', endDate: '2026-03-31' };
const closed = { [Symbol.asyncDispose]: async () => {} };

const contracts: Record<string, readonly ContractCase[]> = {
  simulatedQuotes: providerContract(
    async (scenario) => ({
      provider: simulatedQuotes(optionsOf[scenario as Scenario]),
      known,
      unknown,
      ...closed,
    }),
    { scenarios },
  ),
  simulatedIndexes: providerContract(
    async (scenario) => ({
      provider: simulatedIndexes(optionsOf[scenario as Scenario]),
      known: known.map(({ symbol }) => ({ symbol })),
      unknown: { symbol: unknown.symbol },
      ...closed,
    }),
    { scenarios },
  ),
  simulatedMonthly: providerContract(
    async (scenario) => ({
      provider: simulatedMonthly(optionsOf[scenario as Scenario]),
      known: known.map((asset) => ({ ...asset, ...dates })),
      unknown: { ...unknown, ...dates },
      ...closed,
    }),
    { scenarios },
  ),
};

describe.each(Object.keys(contracts))('%s keeps the provider contract', (name) => {
  it.each(contracts[name]!)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});

describe('simulated prices', () => {
  it('are the same for the same seed, and others for another', async () => {
    const first = await simulatedQuotes({ seed: 1 }).fetch(many, openCall().call);
    expect(await simulatedQuotes({ seed: 1 }).fetch(many, openCall().call)).toEqual(first);
    const other = await simulatedQuotes({ seed: 2 }).fetch(many, openCall().call);
    expect(
      other.filter((quote, index) => (quote as Quote).price === (first[index] as Quote).price).length,
    ).toBeLessThan(20);
  });

  it('fit together', async () => {
    for (const quote of (await simulatedQuotes().fetch(many, openCall().call)) as Quote[]) {
      const { price, change, percentChange, high, low } = quote;
      expect([price, change, percentChange, high, low].every(isDecimal)).toBe(true);
      expect(Number(low) <= Number(price) && Number(price) <= Number(high)).toBe(true);
      expect(percentBetween(subtractDecimals(price, change), price, 5)).toBe(percentChange);
    }
  });

  it('come for each month of the range', async () => {
    const range = { ...stock('ACME'), startDate: '2024-11-30', endDate: '2025-02-01' };
    const [months, none] = await simulatedMonthly().fetch(
      [range, { ...range, startDate: '2025-03-01' }],
      openCall().call,
    );
    expect(months).toMatchObject({
      recordCount: 4,
      prices: ['2024-11', '2024-12', '2025-01', '2025-02'].map((month) => ({ date: `${month}-01` })),
    });
    expect(none).toMatchObject({ recordCount: 0, prices: [] });
  });
});

describe('simulated failures', () => {
  it('make the part of the symbols unknown that is asked for, the same each time', async () => {
    const provider = simulatedQuotes({ unknownRate: 0.3 });
    const codes = async () =>
      (await provider.fetch(many, openCall().call)).map((answer) =>
        PipelineError.isInstance(answer) ? answer.code : 'ok',
      );
    const first = await codes();
    expect(await codes()).toEqual(first);
    const share = first.filter((code) => code === 'symbol_unknown').length / many.length;
    expect(share).toBeGreaterThan(0.25);
    expect(share).toBeLessThan(0.35);
  });

  it('fail the calls that chance picks', async () => {
    const chances = [0.4, 0.6, 0.49, 0.5];
    const provider = simulatedQuotes({ transientRate: 0.5, random: () => chances.shift() ?? 0 });
    const results = await Promise.all(
      [1, 2, 3, 4].map(() =>
        provider.fetch([stock('A')], openCall().call).then(
          () => 'ok',
          (error: unknown) => PipelineError.from(error).code,
        ),
      ),
    );
    expect(results).toEqual(['provider_unavailable', 'ok', 'provider_unavailable', 'ok']);
  });

  it('refuse what no sliding window holds, and say when there is room', async () => {
    let nowMs = 0;
    const provider = simulatedQuotes({ quota: { credits: 8, windowMs: 60_000 }, now: () => nowMs });
    const { call, reports } = openCall();
    await provider.fetch(many.slice(0, 5), call);
    nowMs = 30_000;
    await provider.fetch(many.slice(0, 3), call);
    expect(reports).toEqual([
      { used: 5, left: 3 },
      { used: 8, left: 0 },
    ]);
    nowMs = 59_999;
    await expect(provider.fetch([stock('A')], call)).rejects.toMatchObject({ code: 'rate_limited', retryAfterMs: 1 });
    nowMs = 60_000;
    await provider.fetch(many.slice(0, 5), call);
    await expect(provider.fetch([stock('A')], call)).rejects.toMatchObject({ retryAfterMs: 30_000 });
  });
});

describe('simulated latency', () => {
  it('is waited for, and leaves no timer when aborted', async () => {
    vi.useFakeTimers();
    const provider = simulatedQuotes({ latencyMs: 250 });
    let answered = false;
    const answer = provider.fetch([stock('A')], openCall().call).then(() => (answered = true));
    await vi.advanceTimersByTimeAsync(249);
    expect(answered).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await answer).toBe(true);

    const controller = new AbortController();
    const aborted = provider.fetch([stock('A')], { ...openCall().call, signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('options', () => {
  it.each([
    [{ unknownRate: 1.1 }, 'unknownRate'],
    [{ transientRate: -1 }, 'transientRate'],
    [{ latencyMs: -1 }, 'latencyMs'],
    [{ seed: 0.5 }, 'seed'],
    [{ quota: { credits: 0, windowMs: 1 } }, 'quota.credits'],
    [{ name: '' }, 'name'],
  ])('refuses %j', (options, field) => {
    expect(() => simulatedQuotes(options)).toThrow(`simulatedQuotes: ${field}: `);
  });
});
