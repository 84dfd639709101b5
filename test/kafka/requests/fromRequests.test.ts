import { describe, expect, it } from 'vitest';
import {
  committed,
  completionOf,
  completions,
  keyAt,
  message,
  openBroker,
  requestTopic,
  send,
  settle,
  Worker,
} from './bench.ts';

describe('fromRequests', () => {
  it('hands requests out, and announces each once with its offset', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT', 'TSLA')]);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    expect(worker.deliveries.map(({ id, inputs, lane, batchSize }) => [id, inputs.length, lane, batchSize])).toEqual([
      [keyAt(0), 1, 'market', 100],
      [keyAt(1), 2, 'market', 100],
    ]);
    for (const delivery of worker.deliveries) await delivery.ack(completionOf(delivery));
    expect(completions(broker).map(({ key, event }) => [key, event.status])).toEqual([
      [keyAt(0), 'complete'],
      [keyAt(1), 'complete'],
    ]);
    worker.stop();
    expect(await committed(broker)).toEqual({ offset: 2n, announced: new Set() });
  });
});
