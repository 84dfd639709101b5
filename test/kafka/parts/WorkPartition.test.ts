import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { memoryBroker } from '../../../src/memory/memoryBroker.ts';
import { FencedError, PipelineError, PublishError, SinkError } from '../../../src/model/errors.ts';
import type { Outcome } from '../../../src/model/outcome.ts';
import type { Ledger } from '../../../src/model/ports.ts';
import type { RecordSource } from '../../../src/model/recordPorts.ts';
import type { Asset, Quote } from '../../../src/model/records.ts';
import { changedSink } from '../changedSink.ts';
import { WorkBench, assetsOf, settle, type BenchOptions } from './workBench.ts';

const benches: WorkBench[] = [];

async function open(options: BenchOptions = {}): Promise<WorkBench> {
  const bench = new WorkBench(options);
  benches.push(bench);
  return bench.open();
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(async () => {
  await Promise.all(benches.splice(0).map((bench) => bench.close()));
  expect(vi.getTimerCount()).toBe(0);
});

async function pass(milliseconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds);
  await settle();
}

const away = new SinkError('database_unavailable', 'away', { retryable: true });
const canceled = (input: Asset): Outcome<Asset, Quote> => ({ status: 'skipped', input, reason: 'canceled' });
const failedWith =
  (error: PipelineError) =>
  (input: Asset): Outcome<Asset, Quote> => ({ status: 'failed', input, stage: 'write', error });

/** A ledger whose questions fail while `isAway` says so. */
const unreliable =
  (isAway: () => boolean) =>
  (ledger: Ledger<Asset, Quote>): Ledger<Asset, Quote> => {
    const unlessAway = () => (isAway() ? Promise.reject(away) : Promise.resolve());
    return {
      ...ledger,
      storedNumbers: (...of) => unlessAway().then(() => ledger.storedNumbers(...of)),
      storeFailed: (...of) => unlessAway().then(() => ledger.storeFailed(...of)),
    };
  };

/** A source with other ways to commit; everything else is as it was. */
const committing =
  (commit: (source: RecordSource, ...of: Parameters<RecordSource['commit']>) => Promise<void>) =>
  (source: RecordSource): RecordSource => ({
    get joined() {
      return source.joined;
    },
    run: (handlers) => source.run(handlers),
    commit: (...of) => commit(source, ...of),
    pause: (places) => source.pause(places),
    resume: (places) => source.resume(places),
    rewind: (position) => source.rewind(position),
    stop: () => source.stop(),
  });

describe('a part', () => {
  it('is handed out as a request for its batch alone', async () => {
    const bench = await open();
    await bench.share(5, [3]);
    expect(bench.delivery(3)).toMatchObject({
      ...{ id: 'r', lane: 'market', batchSize: 2, share: { role: 'part', firstBatch: 3 } },
      inputs: assetsOf(10).slice(6, 8),
      request: { pipeline: 'market-data', inputs: assetsOf(10).slice(6, 8), refused: [], account: {} },
    });
  });

  it('is committed once its batch is in the ledger', async () => {
    const bench = await open();
    await bench.share(1);
    expect(await bench.committed()).toBe(0);
    await bench.answer(0);
    expect(await bench.committed()).toBe(1);
    expect(bench.told('part-done')).toEqual([{ type: 'part-done', key: 'r', batch: 0 }]);
  });

  it('is no work when its batch is in the ledger, also one that the quota has ended', async () => {
    const bench = await open();
    const outcomes: Outcome<Asset, Quote>[] = assetsOf(2).map((input) => ({
      status: 'skipped',
      input,
      reason: 'quota',
    }));
    await bench.sink.write({ request: 'r', index: 0, outcomes });
    await bench.share(1);
    expect([bench.handedOut, await bench.committed()]).toEqual([[], 1]);
  });

  it('that was sent twice is done once', async () => {
    const bench = await open();
    await bench.share(2, [0]);
    await bench.share(2, [0, 1]);
    expect(bench.handedOut).toEqual([0, 1]);
    await bench.answer(1);
    await bench.answer(0);
    expect([bench.handedOut, await bench.committed()]).toEqual([[0, 1], 3]);
  });

  it.each([
    ['was canceled', canceled],
    ['could not be written for want of a database', failedWith(away)],
  ])('that %s is tried again, ever later', async (_what, outcomeOf) => {
    const bench = await open();
    await bench.share(1);
    for (const delayMs of [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]) {
      const before = bench.handedOut.length;
      await bench.answer(0, outcomeOf);
      expect(bench.told('request-retried').at(-1)).toMatchObject({ key: 'r', delayMs });
      await pass(delayMs - 1);
      expect(bench.handedOut).toHaveLength(before);
      await pass(1);
      expect(bench.handedOut).toHaveLength(before + 1);
    }
    expect(await bench.committed()).toBe(0);
    await bench.answer(0);
    expect([bench.outcomesOf(0), await bench.committed()]).toEqual([['ok', 'ok'], 1]);
  });

  it('that comes back for a reason that passes is tried again', async () => {
    const bench = await open();
    await bench.share(1);
    await bench.delivery(0).nack(new SinkError('database_unavailable', 'away', { retryable: true }));
    await pass(250);
    await bench.answer(0);
    expect([bench.handedOut, await bench.committed()]).toEqual([[0, 0], 1]);
  });

  it.each([
    ['comes back', new PipelineError('internal', 'a bug'), 'internal: a bug'],
    [
      'comes back with a foreign error',
      PipelineError.from(new Error('postgres://u:secret@h')),
      'internal: unexpected error',
    ],
  ])('that %s is stored as failed, for its owner not to wait', async (_what, error, outcome) => {
    const bench = await open();
    await bench.share(1);
    await bench.delivery(0).nack(error);
    await settle();
    expect([bench.outcomesOf(0), await bench.committed()]).toEqual([[outcome, outcome], 1]);
    expect(JSON.stringify(bench.told('part-done'))).not.toContain('secret');
    expect(bench.told('part-done')).toMatchObject([{ batch: 0, error: { code: 'internal' } }]);
  });

  it.each([
    [
      'could not be written',
      failedWith(new SinkError('database_error', 'no such table')),
      'database_error: no such table',
    ],
    ['was stored nowhere', undefined, 'internal: batch r#0 was answered, and not stored'],
  ])('that %s is stored as failed', async (_what, outcomeOf, outcome) => {
    const bench = await open();
    await bench.share(1);
    await bench.answer(0, outcomeOf, false);
    expect([bench.outcomesOf(0), bench.handedOut, await bench.committed()]).toEqual([[outcome, outcome], [0], 1]);
  });

  it('that makes no progress is told to end, and answers with what it has', async () => {
    const bench = await open();
    await bench.share(2);
    bench.progress.next({ type: 'batch-started', request: 'r', batch: 0, inputs: 2 });
    bench.progress.next({ type: 'batch-started', request: 'r', batch: 1, inputs: 2 });
    await pass(40_000);
    // The progress of another batch of the same request is not its own.
    bench.progress.next({ type: 'batch-started', request: 'r', batch: 1, inputs: 2 });
    await pass(22_000);
    expect(bench.delivery(0).signal.reason).toMatchObject({ code: 'timeout' });
    expect(bench.delivery(1).signal.aborted).toBe(false);
    await bench.answer(0, (input) => ({ status: 'skipped', input, reason: 'deadline' }));
    expect([bench.outcomesOf(0), await bench.committed()]).toEqual([['deadline', 'deadline'], 1]);
    await bench.answer(1);
    await pass(100_000);
    expect([bench.outcomesOf(1), bench.handedOut]).toEqual([
      ['ok', 'ok'],
      [0, 1],
    ]);
  });

  it('that does not even end when told to is stored as failed, and its late answer changes nothing', async () => {
    const bench = await open();
    await bench.share(1);
    bench.progress.next({ type: 'batch-started', request: 'r', batch: 0, inputs: 2 });
    await pass(70_000);
    expect(bench.outcomesOf(0)?.[0]).toMatch(/^timeout: batch 0 of request r made no progress/);
    expect(await bench.committed()).toBe(1);
    await bench.answer(0);
    expect(bench.outcomesOf(0)?.[1]).toMatch(/^timeout/);
    expect([bench.handedOut, bench.told('part-done')]).toMatchObject([[0], [{ error: { code: 'timeout' } }]]);
  });

  it('waits for a ledger that is away, before and after it is done', async () => {
    let isAway = true;
    const bench = await open({ ledger: unreliable(() => isAway) });
    await bench.share(1);
    await pass(60_000);
    expect(bench.handedOut).toEqual([]);
    isAway = false;
    await pass(5_000);
    expect(bench.handedOut).toEqual([0]);
    isAway = true;
    await bench.answer(0);
    await pass(60_000);
    expect(await bench.committed()).toBe(0);
    isAway = false;
    await pass(5_000);
    // It was stored, and is not done again.
    expect([bench.handedOut, await bench.committed()]).toEqual([[0], 1]);
  });

  it('that failed waits for the ledger to take it', async () => {
    let isAway = false;
    const bench = await open({ ledger: unreliable(() => isAway) });
    await bench.share(1);
    isAway = true;
    await bench.delivery(0).nack(new PipelineError('internal', 'a bug'));
    await pass(60_000);
    expect(await bench.committed()).toBe(0);
    isAway = false;
    await pass(5_000);
    expect([bench.outcomesOf(0), bench.handedOut]).toEqual([['internal: a bug', 'internal: a bug'], [0]]);
    expect(await bench.committed()).toBe(1);
  });
});

describe('what is no work', () => {
  it.each<[string, string | Uint8Array | null]>([
    ['nothing', null],
    ['no JSON', '{'],
    ['bytes', Buffer.from([0xff, 0xfe])],
    ['another pipeline', JSON.stringify({ key: 'r', pipeline: 'market-index-data', batch: 0, inputs: assetsOf(1) })],
    [
      'an input that is none',
      JSON.stringify({ key: 'r', pipeline: 'market-data', batch: 0, inputs: [{ symbol: 'A' }] }),
    ],
    ['a key with a NUL', JSON.stringify({ key: 'r\0', pipeline: 'market-data', batch: 0, inputs: assetsOf(1) })],
    ['too large', JSON.stringify({ key: 'r', pipeline: 'market-data', batch: 0, inputs: assetsOf(5_000) })],
  ])('goes to the dead letters of the requests: %s', async (_what, value) => {
    const bench = await open();
    await bench.broker.sink().send([{ topic: 'WORK', partition: 0, key: 'k', value }]);
    await bench.share(1);
    const [letter] = bench.broker.records('IN-dlt');
    expect(letter?.value).toEqual(value === null ? null : Buffer.from(value));
    expect(letter?.headers.find(({ name }) => name === 'kafka_dlt-original-topic')?.value.toString()).toBe('WORK');
    expect(bench.told('dead-lettered')).toMatchObject([{ place: { topic: 'WORK', partition: 0, offset: 0n } }]);
    await bench.answer(0);
    expect(await bench.committed()).toBe(2);
  });

  it('is committed only once it is there', async () => {
    let isAway = true;
    const bench = await open({
      sink: (sink) =>
        changedSink(sink, {
          send: (records) => (isAway ? Promise.reject(new PublishError('away')) : sink.send(records)),
        }),
    });
    await bench.broker.sink().send([{ topic: 'WORK', partition: 0, value: '?' }]);
    await pass(60_000);
    expect(await bench.committed()).toBe(0);
    isAway = false;
    await pass(5_000);
    expect([bench.broker.records('IN-dlt').length, await bench.committed()]).toEqual([1, 1]);
  });

  it('goes to a topic of fewer partitions, too', async () => {
    const broker = memoryBroker({ topics: { WORK: 3, 'IN-dlt': 1 } });
    await broker.sink().send([{ topic: 'WORK', partition: 2, value: '?' }]);
    const bench = await open({ broker });
    await settle();
    expect(broker.records('IN-dlt')).toHaveLength(1);
    expect(await bench.committed(2)).toBe(1);
  });
});

describe('the partition', () => {
  it('takes four at once, and the next when one is done', async () => {
    const bench = await open();
    await bench.share(8);
    expect(bench.handedOut).toEqual([0, 1, 2, 3]);
    await bench.answer(2);
    expect(bench.handedOut).toEqual([0, 1, 2, 3, 4]);
  });

  it('takes no more than its context allows', async () => {
    const bench = await open({ maxOpen: 2 });
    await bench.share(8);
    expect(bench.handedOut).toEqual([0, 1]);
  });

  it('commits up to the oldest open part', async () => {
    const bench = await open();
    await bench.share(4);
    for (const [batch, expected] of [
      [1, 0],
      [3, 0],
      [0, 2],
      [2, 4],
    ] as const) {
      await bench.answer(batch);
      expect(await bench.committed()).toBe(expected);
    }
  });

  it('does not run away from a part that lasts', async () => {
    const bench = await open();
    await bench.share(200);
    for (let batch = 1; batch < 100; batch++) await bench.answer(batch);
    expect(bench.handedOut.at(-1)).toBe(99);
    await bench.answer(0);
    expect(bench.handedOut.slice(-4)).toEqual([100, 101, 102, 103]);
    expect(await bench.committed()).toBe(100);
  });

  it('commits again what could not be committed', async () => {
    let failures = 2;
    const bench = await open({
      source: committing(async (source, ...of) => {
        if (failures-- > 0) throw new PipelineError('broker_unavailable', 'away');
        await source.commit(...of);
      }),
    });
    await bench.share(1);
    await bench.answer(0);
    expect(await bench.committed()).toBe(0);
    await pass(750);
    expect(await bench.committed()).toBe(1);
  });

  it('takes nothing new while it drains, and ends once all that was handed out is answered', async () => {
    const bench = await open();
    await bench.share(8);
    await bench.answer(1, canceled);
    let isDrained = false;
    const draining = bench.handler.drain().then(() => (isDrained = true));
    for (const batch of [0, 2]) await bench.answer(batch);
    await pass(60_000);
    expect([isDrained, bench.handedOut]).toEqual([false, [0, 1, 2, 3]]);
    await bench.answer(3, canceled);
    await draining;
    // 1 and 3 were not done, and are the next owner's.
    expect(await bench.committed()).toBe(1);
  });

  it('ends its draining although nothing can be committed', async () => {
    const bench = await open({
      source: committing(() => Promise.reject(new PipelineError('broker_unavailable', 'x'))),
    });
    await bench.share(1);
    await bench.answer(0);
    await bench.handler.drain();
    expect(await bench.committed()).toBe(0);
  });

  it.each(['drains before a part is handed out', 'is lost after one was answered'])(
    'waits for no ledger that waits for its database when it %s',
    async (when) => {
      const answered = when.startsWith('drains') ? 0 : 1;
      let questions = 0;
      const never = new Promise<never>(() => undefined);
      const bench = await open({
        ledger: (ledger) => ({
          ...ledger,
          storedNumbers: (...of) => (questions++ < answered ? ledger.storedNumbers(...of) : never),
        }),
      });
      await bench.share(1);
      expect(bench.handedOut).toHaveLength(answered);
      const answering = answered === 0 ? undefined : bench.answer(0);
      await settle();
      await (answered === 0 ? bench.handler.drain() : bench.handler.close());
      // Nor does its pipeline, which is told.
      await answering;
      expect(await bench.committed()).toBe(0);
    },
  );

  it('gives everything up at once when it is lost', async () => {
    const bench = await open();
    await bench.share(8);
    await bench.answer(1, canceled); // waits to be tried again
    const closing = bench.handler.close();
    for (const batch of [0, 2, 3]) expect(bench.delivery(batch).signal.reason).toBeInstanceOf(FencedError);
    await closing;
    await expect(bench.delivery(0).ack({} as never)).rejects.toThrow(FencedError);
    await bench.answer(0);
    await pass(60_000);
    expect([bench.handedOut, await bench.committed(), bench.told('part-done')]).toEqual([[0, 1, 2, 3], 0, []]);
  });

  it('takes nothing without a ledger', async () => {
    const bench = await open({ ledger: () => undefined });
    await bench.share(3);
    expect([bench.handedOut, await bench.committed()]).toEqual([[], 0]);
  });
});
