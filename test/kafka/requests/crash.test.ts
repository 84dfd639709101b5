import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { CrashBench, partitions, type Step } from './CrashBench.ts';

/** `CRASH_CASES=100000` for a long run. */
const numRuns = Number(process.env['CRASH_CASES'] ?? 300);

const worker = fc.nat({ max: 5 });
const fault = fc.constantFrom('before' as const, 'after' as const, undefined);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('send' as const),
      partition: fc.nat({ max: partitions - 1 }),
      symbols: fc.nat({ max: 6 }),
      isRequest: fc.constantFrom(true, true, true, false),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.nat({ max: 800 }) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('start' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constantFrom('kill', 'expel', 'drain', 'unsubscribe'), worker }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('faults' as const), faults: fc.array(fault, { maxLength: 4 }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('database' as const), isAway: fc.boolean() }) },
);

const scenario = fc.record({
  steps: fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }),
  // How long each batch takes, in turn: so requests finish in any order.
  durations: fc.array(fc.nat({ max: 900 }), { minLength: 1, maxLength: 12 }),
  maxOpen: fc.constantFrom(1, 2, 32),
  window: fc.constantFrom(1, 3, 1_000),
});

it(
  'answers each request once, whatever dies or fails at whatever moment',
  async () => {
    vi.useFakeTimers();
    await fc.assert(
      fc.asyncProperty(scenario, async ({ steps, ...settings }) => {
        const bench = new CrashBench(settings);
        for (const each of steps) await bench.take(each);
        await bench.finish();
        expect(await bench.state()).toEqual(bench.expected());
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns },
    );
  },
  20_000 + numRuns * 100,
);
