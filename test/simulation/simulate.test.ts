import { afterEach, describe, expect, it, vi } from 'vitest';
import { OptionsError } from '../../src/model/errors.ts';
import type { Quote } from '../../src/model/records.ts';
import { findViolation } from '../../src/simulation/findViolation.ts';
import { memoryStore, type OpenStore } from '../../src/simulation/memoryStore.ts';
import type { Fault, Scenario } from '../../src/simulation/Scenario.ts';
import { simulate } from '../../src/simulation/simulate.ts';
import { simpleProvider } from '../../src/simulation/SimulatedProvider.ts';

// issue 11, item 1

const quiet: Scenario = {
  ...{ workers: 2, partitions: 2, batchSize: 2, splitAbove: 2, maxOpen: 32, credits: 8, windowMs: 1_000 },
  requests: [
    { atMs: 0, partition: 0, assets: ['A STOCK', 'A CRYPTO', 'B STOCK', 'X1 STOCK', 'C STOCK', 'D STOCK'] },
    { atMs: 300, partition: 1, assets: ['A STOCK', 'E STOCK'] },
    { atMs: 300, partition: 0, assets: [] },
  ],
  faults: [],
};

const faults: readonly Fault[] = [
  { at: 20, type: 'kill', point: 'before', restartMs: 500 },
  { at: 30, type: 'kill', point: 'after', restartMs: 500 },
  { at: 33, type: 'stop', restartMs: 200 },
  { at: 35, type: 'pause', forMs: 4_000 },
  { at: 40, type: 'outage', of: 'database', forMs: 4_000 },
  { at: 40, type: 'outage', of: 'broker', forMs: 500 },
  { at: 12, type: 'slow', of: 'provider', forMs: 4_000 },
  { at: 15, type: 'lost-answer', of: 'database' },
  { at: 15, type: 'lost-answer', of: 'broker' },
  { at: 10, type: 'provider', how: 'refuse', calls: 2 },
  { at: 25, type: 'clock', of: 'process', byMs: -3_600_000 },
  { at: 25, type: 'clock', of: 'database', byMs: 3_600_000 },
];

describe('simulate', () => {
  const { stackTraceLimit } = Error;
  const globals = { setTimeout, clearTimeout, setInterval, clearInterval, Date, random: Math.random };

  afterEach(() => {
    const { random, ...timers } = globals;
    for (const [name, value] of Object.entries(timers)) expect(Reflect.get(globalThis, name), name).toBe(value);
    expect(Math.random).toBe(random);
    expect(Error.stackTraceLimit).toBe(stackTraceLimit);
    expect(performance.now()).toBeGreaterThan(0);
  });

  it('lets everything be answered where nothing fails', async () => {
    const report = await simulate({ seed: 1, scenario: quiet });
    expect(report).toMatchObject({ violations: [], batches: 4, faults: {}, isCounted: false });
    expect(report.effects).toBeGreaterThan(30);
  });

  it('skips what the quota of the day does not pay for', async () => {
    const report = await simulate({ seed: 1, scenario: { ...quiet, dailyCredits: 3 } });
    expect(report.violations).toEqual([]);
    const calls = report.trace.filter((line) => line.includes(' call ') && !line.endsWith('answered'));
    expect(calls.flatMap((line) => line.split(', '))).toHaveLength(3);
  });

  it('replays a run by its seed', async () => {
    const scenario = { ...quiet, faults };
    const [one, again, other] = [
      await simulate({ seed: 5, scenario }),
      await simulate({ seed: 5, scenario }),
      await simulate({ seed: 6, scenario }),
    ];
    expect(one.violations).toEqual([]);
    expect(again.trace).toEqual(one.trace);
    expect(again.traceHash).toBe(one.traceHash);
    expect(other.traceHash).not.toBe(one.traceHash);
  });

  it.each(faults.map((fault) => [fault.type, fault] as const))('lets a fault hit: %s', async (type, fault) => {
    const report = await simulate({ seed: 3, scenario: { ...quiet, faults: [{ ...fault, at: 10 }] } });
    expect(report.violations).toEqual([]);
    expect(report.faults[type]).toBeGreaterThan(0);
    expect(report.isCounted).toBe(true);
  });

  it('keeps every promise at each effect at which a process may die', async () => {
    for (let at = 1; at <= 40; at += 3) {
      for (const point of ['before', 'after'] as const) {
        const scenario = { ...quiet, faults: [{ at, type: 'kill', point, restartMs: 200 } as const] };
        expect((await simulate({ seed: at, scenario })).violations, `${point} ${at}`).toEqual([]);
      }
    }
  }, 120_000);

  it('runs once at a time, and gives everything back after an error', async () => {
    const broken = simulate({ seed: 1, scenario: quiet, store: () => expect.unreachable() });
    await expect(simulate({ seed: 1, scenario: quiet })).rejects.toThrow(OptionsError);
    await expect(broken).rejects.toThrow();
    vi.useFakeTimers();
    await expect(simulate({ seed: 1, scenario: quiet })).rejects.toThrow('timers are fake already');
    vi.useRealTimers();
    expect((await simulate({ seed: 1, scenario: quiet })).violations).toEqual([]);
  });

  it('refuses what is no scenario', async () => {
    await expect(simulate({ seed: 0.5, scenario: quiet })).rejects.toThrow(/^simulate: seed: /);
  });
});

/** Rows that are written after their batch, in a transaction of their own: who dies in between leaves none. */
const split: OpenStore = (options) => {
  const good = memoryStore(options);
  const rows = new Map<string, Quote>();
  return {
    rows: () => rows,
    sink: (database) => {
      const sink = good.sink(database);
      return {
        ...sink,
        write: async (batch, call) => {
          const result = await sink.write(batch, call);
          const values = batch.outcomes.flatMap((outcome) => (outcome.status === 'ok' ? [outcome.value] : []));
          await database.run('rows', () => {
            for (const value of values) rows.set(`${value.symbol} ${value.assetType}`, value);
          });
          return result;
        },
      };
    },
  };
};

describe('findViolation', () => {
  it('finds nothing in what there is', async () => {
    const { seed, runs, countedRuns, effects, faults: hits, violation } = await findViolation({ runs: 30 });
    expect(violation, `seed ${seed}`).toBeUndefined();
    expect(countedRuns).toBe(30);
    expect(runs).toBeGreaterThanOrEqual(30);
    expect(effects.least).toBeGreaterThanOrEqual(30);
    expect(effects.most).toBeGreaterThan(effects.median);
    expect(hits.kill).toBeGreaterThan(0);
  }, 120_000);

  it('finds a sink that writes batch and rows apart, and makes the scenario small', async () => {
    const { violation } = await findViolation({ seed: 1, runs: 100, shrinkRuns: 60, store: split });
    expect(violation?.violations.join()).toMatch(/there is no row|the row is older/);
    expect(violation?.shrinks).toBeGreaterThan(0);
    expect(violation?.scenario.faults.length).toBeLessThanOrEqual(3);
    const { seed, scenario, traceHash } = violation!;
    expect((await simulate({ seed, scenario, store: split })).traceHash).toBe(traceHash);
  }, 120_000);

  it('finds a provider that mixes its answers up', async () => {
    const { violation } = await findViolation({
      seed: 1,
      runs: 20,
      shrinkRuns: 0,
      provider: (ask) =>
        simpleProvider(async (assets) => {
          const { values, seen } = await ask(assets);
          return { values: values.toReversed(), seen };
        }),
    });
    expect(violation?.violations.join()).toMatch(/which the provider never said/);
  }, 120_000);

  it('fails with what fails in it, and does not take that for a violation', async () => {
    const store: OpenStore = () => {
      throw new TypeError('the store is broken');
    };
    await expect(findViolation({ runs: 1, store })).rejects.toThrow('the store is broken');
  });
});
