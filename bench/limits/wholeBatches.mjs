/** Work batches through `limited`: how many calls, how long, whether as planned; and any batch at all. */
import fc from 'fast-check';
import { creditLimiter, limited, ProviderError, RateLimitError } from 'fintrack-pipelines';
import { expectWindow, quotaServer } from 'fintrack-pipelines/testing';
import { inVirtualTime, seeded, whenDone } from './virtualTime.mjs';

const { signal: never } = new AbortController();
const symbols = (count) => Array.from({ length: count }, (_, index) => `S${index}`);

function wordProvider(server, { maxBatchSize = 120, answer = (words) => words.map((word) => word.length) } = {}) {
  return {
    name: 'words',
    maxBatchSize,
    cost: (words) => words.length,
    fetch: async (words, { signal, report }) => {
      report(await server.send(words.length, { signal }));
      return answer(words);
    },
  };
}

/** So many symbols in work batches. */
export function fetchAll({ count, credits, batchSize = 100 }) {
  return inVirtualTime(async (clock) => {
    const server = quotaServer({ credits, random: seeded(1) });
    const fetcher = limited(wordProvider(server), creditLimiter({ credits }));
    const all = symbols(count);
    const startedAt = performance.now();
    const planned = fetcher.estimate(all).doneAt.getTime() - Date.now();
    const batches = Array.from({ length: Math.ceil(count / batchSize) }, (_, batch) =>
      fetcher.fetch(all.slice(batch * batchSize, (batch + 1) * batchSize), { signal: never, request: 'r', batch }),
    );
    const fetched = (await whenDone(clock, Promise.all(batches))).flat();
    return {
      calls: server.arrivals.length,
      refusals: server.refusals,
      served: fetched.filter(({ status }) => status === 'ok').length,
      lastedMs: performance.now() - startedAt,
      planned,
      most: expectWindow(server.arrivals, { limit: Number.MAX_SAFE_INTEGER, windowMs: 60_000 }) / credits,
    };
  });
}

const scenario = fc.record({
  seed: fc.nat(),
  count: fc.integer({ min: 0, max: 60 }),
  batchSize: fc.integer({ min: 1, max: 40 }),
  credits: fc.integer({ min: 1, max: 60 }),
  windowMs: fc.constantFrom(1_000, 5_000, 60_000),
  second: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
  maxBatchSize: fc.integer({ min: 1, max: 40 }),
  maxConcurrent: fc.integer({ min: 1, max: 6 }),
  stallRate: fc.constantFrom(0, 0, 0.05),
  failures: fc.constantFrom(0, 0.05, 0.2),
});

/** Random windows, batches and failures: every run ends, no window is exceeded, every symbol has one outcome. */
export async function randomCases(numRuns) {
  await fc.assert(
    fc.asyncProperty(scenario, (given) => inVirtualTime((clock) => checkCase(clock, given))),
    { numRuns },
  );
  return numRuns;
}

async function checkCase(clock, { seed, count, batchSize, credits, windowMs, second, stallRate, failures, ...given }) {
  const random = seeded(seed);
  const isBad = () => random() < failures;
  const answer = (words) => {
    if (isBad()) throw new ProviderError('provider_unavailable', 'down', { retryable: true });
    if (isBad()) throw new RateLimitError('words', { retryAfterMs: 2_000 });
    if (isBad()) throw new ProviderError('response_malformed', 'HTML');
    return words.map((word) => (isBad() ? new ProviderError('symbol_unknown', 'none') : word));
  };
  const server = quotaServer({ credits, windowMs, stallRate, random });
  const windows = second === undefined ? [] : [{ credits: second, windowMs: 500 }];
  const limiter = creditLimiter({ credits, windowMs, windows, maxConcurrent: given.maxConcurrent });
  const fetcher = limited(wordProvider(server, { maxBatchSize: given.maxBatchSize, answer }), limiter, { random });
  const all = symbols(count);
  const batches = Array.from({ length: Math.ceil(count / batchSize) }, (_, batch) =>
    fetcher.fetch(all.slice(batch * batchSize, (batch + 1) * batchSize), { signal: never, request: 'r', batch }),
  );
  const fetched = (await whenDone(clock, Promise.all(batches))).flat();
  if (fetched.length !== count) throw new Error(`${fetched.length} outcomes for ${count} symbols`);
  for (const [index, entry] of fetched.entries()) {
    if (entry.status === 'ok' ? entry.value !== all[index] : entry.status !== 'failed') {
      throw new Error(`${all[index]}: ${entry.status}`);
    }
  }
  expectWindow(server.arrivals, { limit: credits, windowMs });
  if (second !== undefined) expectWindow(server.arrivals, { limit: second, windowMs: 500 });
}
