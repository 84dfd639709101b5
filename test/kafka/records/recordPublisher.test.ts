import { describe, expect, it } from 'vitest';
import { recordPublisher } from '../../../src/kafka/records/recordPublisher.ts';
import { memoryBroker } from '../../../src/memory/memoryBroker.ts';
import { RequestError } from '../../../src/model/errors.ts';
import type { CompletionEvent } from '../../../src/model/events/completion.ts';
import type { ProgressEvent } from '../../../src/model/events/progress.ts';
import { rejectedRequest } from '../../../src/model/events/rejectedRequest.ts';
import { parseEvent, serializeEvent } from '../../../src/model/events/serializeEvent.ts';
import type { RecordSink } from '../../../src/model/recordPorts.ts';
import { headersOf } from './records.ts';

const progress: ProgressEvent = { requestId: 'request-1', batch: 1, ok: 99, failed: 1, elapsedMs: 250 };
const completion = rejectedRequest('market-index-data', new RequestError('request_malformed', 'no list'), 'request-1');

describe('a publisher of records', () => {
  it('sends progress under the id of its request', async () => {
    const broker = memoryBroker({ topics: { PROGRESS: 1 } });
    await recordPublisher<ProgressEvent>({ sink: broker.sink(), topic: 'PROGRESS' }).publish(progress);
    const [record] = broker.records('PROGRESS');
    expect(String(record?.key)).toBe('request-1');
    expect(String(record?.value)).toBe(serializeEvent(progress));
  });

  it('sends a completion as its delivery would, in parts when it is large', async () => {
    const broker = memoryBroker({ topics: { COMPLETED: 1 } });
    const publisher = recordPublisher<CompletionEvent>({ sink: broker.sink(), topic: 'COMPLETED', key: () => 'mine' });
    await publisher.publish(completion);
    const skipped = Array.from(
      { length: 40_000 },
      (_, index) => ({ symbol: `S${String(index)}`, reason: 'quota' }) as const,
    );
    await publisher.publish({ ...completion, skipped });
    const [first, ...parts] = broker.records('COMPLETED');
    expect(String(first?.key)).toBe('mine');
    expect(headersOf(first ?? {})).toContainEqual(['ce_id', 'mine']);
    expect(parts.map((part) => String(part.key))).toEqual(['mine#1', 'mine#2']);
    const names = parts.flatMap(({ value }) => (parseEvent(String(value)) as CompletionEvent).skipped);
    expect(names).toEqual(skipped);
  });

  it('rejects with a PublishError, and shows nothing of what others say', async () => {
    const missing = recordPublisher<ProgressEvent>({ sink: memoryBroker().sink(), topic: 'PROGRESS' });
    await expect(missing.publish(progress)).rejects.toMatchObject({ code: 'publish_failed' });
    const sink = { ...memoryBroker().sink(), send: () => Promise.reject(new Error('canary')) } as unknown as RecordSink;
    const failing = recordPublisher<ProgressEvent>({ sink, topic: 'PROGRESS' }).publish(progress);
    await expect(failing).rejects.toMatchObject({ code: 'publish_failed' });
    await expect(failing).rejects.not.toThrow('canary');
  });

  it('checks its options', () => {
    const make = () => recordPublisher({ sink: {} as RecordSink, topic: 'PROGRESS' });
    expect(make).toThrow(expect.objectContaining({ code: 'options_invalid' }));
  });
});
