import type * as FastCheck from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type { Fault, Scenario, SimulatedRequest } from './Scenario.ts';

/** Scenarios for fast-check, which makes them smaller when one of them finds something. */
export function scenarios(fc: typeof FastCheck): Arbitrary<Scenario> {
  return fc.record({
    workers: fc.integer({ min: 1, max: 3 }),
    partitions: fc.integer({ min: 1, max: 2 }),
    batchSize: fc.integer({ min: 1, max: 2 }),
    splitAbove: fc.constantFrom(20, 2),
    maxOpen: fc.constantFrom(32, 2, 1),
    credits: fc.integer({ min: 3, max: 12 }),
    windowMs: fc.constantFrom(1_000, 3_000),
    dailyCredits: fc.constantFrom(undefined, undefined, undefined, 8, 20),
    requests: fc.array(requests(fc), { minLength: 2, maxLength: 3 }),
    faults: fc.array(faults(fc), { minLength: 1, maxLength: 5 }),
  });
}

function requests(fc: typeof FastCheck): Arbitrary<SimulatedRequest> {
  const asset = fc
    .tuple(fc.constantFrom('A', 'B', 'C', 'D', 'E', 'F', 'G', 'X1'), fc.constantFrom('STOCK', 'CRYPTO'))
    .map(([symbol, type]) => `${symbol} ${type}`);
  return fc.record({
    atMs: fc.nat({ max: 2_000 }),
    partition: fc.nat({ max: 1 }),
    // An empty one is no request.
    assets: fc.oneof(
      { weight: 1, arbitrary: fc.constant([]) },
      { weight: 9, arbitrary: fc.uniqueArray(asset, { minLength: 2, maxLength: 4 }) },
    ),
  });
}

function faults(fc: typeof FastCheck): Arbitrary<Fault> {
  const at = fc.integer({ min: 1, max: 40 });
  const server = fc.constantFrom('database' as const, 'broker' as const, 'provider' as const);
  const forMs = fc.constantFrom(50, 500, 4_000, 12_000);
  const kill = fc.record({
    at,
    type: fc.constant('kill' as const),
    point: fc.constantFrom('before' as const, 'after' as const),
    restartMs: fc.constantFrom(1, 500, 5_000),
  });
  return fc.oneof(
    { weight: 6, arbitrary: kill },
    {
      weight: 2,
      arbitrary: fc.record({ at, type: fc.constant('stop' as const), restartMs: fc.constantFrom(1, 2_000) }),
    },
    { weight: 2, arbitrary: fc.record({ at, type: fc.constant('pause' as const), forMs }) },
    { weight: 2, arbitrary: fc.record({ at, type: fc.constant('outage' as const), of: server, forMs }) },
    { weight: 1, arbitrary: fc.record({ at, type: fc.constant('slow' as const), of: server, forMs }) },
    { weight: 3, arbitrary: fc.record({ at, type: fc.constant('lost-answer' as const), of: server }) },
    {
      weight: 3,
      arbitrary: fc.record({
        at,
        type: fc.constant('provider' as const),
        how: fc.constantFrom('refuse' as const, 'cut', 'repeat', 'exhausted', 'unknown'),
        calls: fc.integer({ min: 1, max: 8 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        at,
        type: fc.constant('clock' as const),
        of: fc.constantFrom('process' as const, 'database' as const),
        byMs: fc.constantFrom(-3_600_000, -1_500, 1_500, 3_600_000),
      }),
    },
  );
}
