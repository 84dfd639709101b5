import type { KafkaMessage } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { toSourceRecord } from '../../../../src/kafka/client/consumer/sourceRecord.ts';

const place = { topic: 'IN', partition: 0 };

/** A message as kafkajs reads it. */
const message = (headers: object): KafkaMessage =>
  ({ key: null, value: null, timestamp: '7', attributes: 0, offset: '42', headers }) as unknown as KafkaMessage;

const headersOf = (headers: object): string[] =>
  toSourceRecord(place, message(headers)).headers.map(({ name, value }) => `${name}=${Buffer.from(value).toString()}`);

describe('a message as a record', () => {
  // Issue 10, 11: 32 open requests kept 32 batches of up to 64 MiB.
  it('does not keep what was fetched with it', () => {
    const fetched = Buffer.alloc(1_000_000, 'a');
    const part = { key: fetched.subarray(0, 1), value: fetched.subarray(1, 3) };
    const { key, value } = toSourceRecord(place, { ...message({ h: fetched.subarray(3, 4) }), ...part });
    expect([String(key), String(value)]).toEqual(['a', 'aa']);
    for (const bytes of [key, value]) expect(bytes?.buffer).not.toBe(fetched.buffer);
  });

  it('has its headers in their order, those of one name one after another, and empty where there is no value', () => {
    const headers = { b: Buffer.from('1'), a: [Buffer.from('2'), Buffer.from('3')], none: null };
    expect(headersOf(headers)).toEqual(['b=1', 'a=2', 'a=3', 'none=']);
    expect(toSourceRecord(place, message({}))).toMatchObject({ ...place, offset: 42n, timestampMs: 7, headers: [] });
  });
});
