// Issue 10, item 10: owners of shared requests in quarantine on two workers, each of which waits for batches that the other has.
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { creditLimiter } from '../../../../src/limits/creditLimiter.ts';
import { limited } from '../../../../src/limits/limited.ts';
import type { MemoryBroker } from '../../../../src/memory/memoryBroker.ts';
import { answerByPipeline } from '../../../../src/pipelines/answerByPipeline.ts';
import { marketData } from '../../../../src/pipelines/marketData.ts';
import { marketDataSink } from '../../../../src/postgres/sinks/marketDataSink.ts';
import { simulatedQuotes } from '../../../../src/providers/simulated/simulatedQuotes.ts';
import { fromRequests } from '../../../../src/kafka/requests/fromRequests.ts';
import type { WorkerEvent } from '../../../../src/model/workerEvents.ts';
import { openTestDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { completions, groupId, keyAt, message, openBroker, requestTopic, send } from '../bench.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase({ shape: 'S1', migrated: true, poolSize: 8 });
});
afterAll(() => database[Symbol.asyncDispose]());

/** Starts a worker for the time of the test; answers what it tells. */
function startWorker(broker: MemoryBroker, onEvent: () => void): readonly WorkerEvent[] {
  const sink = marketDataSink({ database });
  const fetcher = limited(simulatedQuotes(), creditLimiter({ credits: 1_000, windowMs: 1_000 }));
  const events: WorkerEvent[] = [];
  const subscription = fromRequests({
    source: broker.source({ groupId, topics: ['IN', 'WORK'] }),
    sink: broker.sink(),
    groupId,
    topics: [requestTopic({ ledger: sink.ledger, workTopic: 'WORK', batchSize: 2 })],
    splitAbove: 2,
    events: {
      next: (event) => {
        events.push(event);
        onEvent();
      },
    },
  })
    .pipe(answerByPipeline({ 'market-data': { requests: marketData({ fetcher, sink }) } }))
    .subscribe();
  onTestFinished(() => subscription.unsubscribe());
  return events;
}

it('are both answered, and their batches done by both workers', async () => {
  const broker = openBroker(2);
  broker.createTopic('WORK', 2);
  const { ledger } = marketDataSink({ database });
  const keys = [keyAt(0, 0), keyAt(0, 1)];
  for (const key of keys) for (const token of ['one', 'two']) await ledger.begin({ key, token }, 9);

  let onEvent = (): void => undefined;
  const isAnswered = new Promise<void>((resolve) => {
    onEvent = () => {
      if (completions(broker).length === 2) resolve();
    };
  });
  const workers = [startWorker(broker, () => onEvent()), startWorker(broker, () => onEvent())];
  for (const [partition, letter] of ['A', 'B'].entries()) {
    await send(broker, [message(...Array.from({ length: 12 }, (_, index) => `${letter}${index}`))], partition);
  }
  await isAnswered;

  expect(
    completions(broker)
      .map(({ key, event }) => `${key} ${event.status}`)
      .sort(),
  ).toEqual(keys.map((key) => `${key} complete`));
  const told = workers.map((events) => events.filter(({ type }) => type === 'request-quarantined'));
  expect(told.map((events) => events.length)).toEqual([1, 1]);
  for (const events of workers) {
    const parts = events.flatMap((event) => (event.type === 'part-done' ? [event.key] : []));
    expect(new Set(parts)).toEqual(new Set(keys));
  }
}, 30_000);
