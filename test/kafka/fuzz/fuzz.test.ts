import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { lanes, topics } from '../../support/workers/requests.ts';
import { FuzzBench } from './FuzzBench.ts';
import { anyMessage, malformed, type FuzzMessage } from './messages.ts';

/** How many messages come by chance; `FUZZ=100000` takes some minutes. */
const count = Number(process.env['FUZZ'] ?? 600);
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
const atOnce = 30;

/** The real one. */
const clock = process.hrtime;

beforeEach(() => {
  vi.useFakeTimers();
});

const message = (topic: string, value: Uint8Array | null): FuzzMessage => ({ topic, value, key: null, headers: [] });

/** A request of each topic for so many symbols. */
function goodRequests(number: number, symbols = 2): FuzzMessage[] {
  const names = Array.from({ length: symbols }, (_, index) => `G${number}.${index}`);
  const assets = names.map((symbol) => ({ symbol, asset_type: 'STOCK' }));
  return [
    message(topics.market.request, Buffer.from(JSON.stringify({ assets }))),
    message(topics.index.request, Buffer.from(JSON.stringify({ symbols: names }))),
    message(
      topics.historical.request,
      Buffer.from(JSON.stringify({ assets, start_date: '2025-01-31', end_date: '2025-03-31' })),
    ),
  ];
}

const isComplete = (value: Uint8Array | null, symbol: string): boolean => {
  const text = Buffer.from(value ?? '').toString();
  return text.includes(`"${symbol}"`) && text.includes('"status":"complete"');
};

/** Good requests that have no answer. */
function unanswered(bench: FuzzBench, numbers: readonly number[]): string[] {
  return lanes.flatMap((lane) =>
    numbers
      .filter((number) => !bench.completions(lane).some(({ value }) => isComplete(value, `G${number}.0`)))
      .map((number) => `${lane} ${number}`),
  );
}

/** How long a long run took, and what it needed: the least that the heap held, in its parts one after another. */
function figures(heaps: readonly number[], seconds: number): string {
  const size = Math.ceil(heaps.length / 5);
  const megabytes = [0, 1, 2, 3, 4].map((part) => Math.min(...heaps.slice(part * size, (part + 1) * size)) / 1e6);
  const rss = process.memoryUsage().rss / 1e6;
  return `${count} messages in ${seconds.toFixed(0)} s, heap ${megabytes.map((each) => each.toFixed(0)).join(', ')} MB, at last ${rss.toFixed(0)} MB in all`;
}

describe('a worker', () => {
  it('puts to the dead letters what is no request, and tells of it', async () => {
    const bench = new FuzzBench();
    await bench.send(
      malformed.flatMap((value, number) => [
        ...lanes.flatMap((lane) => [message(topics[lane].request, value), message(topics[lane].work, value)]),
        ...goodRequests(number),
      ]),
    );

    expect(await bench.faults(0)).toEqual([]);
    expect(unanswered(bench, [...malformed.keys()])).toEqual([]);
    for (const lane of lanes) expect(bench.completions(lane)).toHaveLength(2 * malformed.length);
    expect(await bench.close()).toEqual([]);
  });

  it(`answers whatever comes, and lets nobody wait for it (FUZZ=${count} FUZZ_SEED=${seed})`, async () => {
    const someMessages = fc.array(anyMessage, { minLength: atOnce, maxLength: atOnce, size: 'max' });
    const one = async (messages: readonly FuzzMessage[]): Promise<void> => {
      const bench = new FuzzBench();
      const strewn = messages.flatMap((each, index) => (index % 6 === 0 ? [...goodRequests(index), each] : [each]));
      await bench.send([...strewn, ...goodRequests(atOnce, 18)]);
      const early = await bench.faults(0).then(() => unanswered(bench, [0, 6, 12, 18, 24]));
      const late = await bench.faults(1_000);
      expect([...early, ...late, ...(await bench.close())]).toEqual([]);
      expect(unanswered(bench, [atOnce])).toEqual([]);
      vi.clearAllTimers();
    };
    const heaps: number[] = [];
    const property = fc.asyncProperty(someMessages, async (messages) => {
      await one(messages);
      if (process.env['FUZZ'] !== undefined) heaps.push(process.memoryUsage().heapUsed);
    });
    const startedAt = clock.bigint();
    await fc.assert(property, { numRuns: Math.ceil(count / atOnce), seed });
    if (heaps.length > 0) console.log(figures(heaps, Number(clock.bigint() - startedAt) / 1e9));
  }, 3_600_000);
});
