import { describe, expect, it } from 'vitest';
import { deadLetterRecord } from '../../../src/kafka/records/deadLetterRecord.ts';
import { PipelineError, RequestError } from '../../../src/model/errors.ts';
import { recordBytes } from '../../../src/model/recordBytes.ts';
import type { SinkRecord } from '../../../src/model/recordPorts.ts';
import { header, headersOf, lastHeader, requestRecord } from './records.ts';

const target = { topic: 'REQUESTS-dlt', groupId: 'workers' };
const error = new RequestError('request_malformed', 'request: assets: expected a list, got "no list"');

const sizeOf = ({ key, value, headers = [] }: SinkRecord): number =>
  [key ?? '', value ?? '', ...headers.flatMap(({ name, value: content }) => [name, content])]
    .map((content) => Buffer.byteLength(content))
    .reduce((sum, bytes) => sum + bytes, 0);

describe('a dead letter', () => {
  it('has the partition, key and value of its record, untouched', () => {
    const record = requestRecord({ value: Buffer.from([0xff, 0x00, 0xfe]) });
    const { topic, partition, key, value } = deadLetterRecord(record, error, target);
    expect({ topic, partition, key, value }).toEqual({
      topic: 'REQUESTS-dlt',
      partition: 3,
      key: record.key,
      value: record.value,
    });
    expect(deadLetterRecord(requestRecord({ key: null, value: null }), error, target)).toMatchObject({
      key: null,
      value: null,
    });
  });

  it('says in the headers of Spring what went wrong, and where', () => {
    const letter = deadLetterRecord(
      requestRecord(),
      new RequestError('timeout', 'no', { cause: new TypeError('x') }),
      target,
    );
    const texts = headersOf(letter).filter(([name]) => !/partition|offset|timestamp$/.test(name));
    expect(texts).toEqual([
      ['kafka_dlt-exception-fqcn', 'RequestError'],
      ['kafka_dlt-exception-cause-fqcn', 'TypeError'],
      ['kafka_dlt-exception-message', 'no'],
      ['kafka_dlt-exception-stacktrace', 'RequestError [timeout]: no'],
      ['kafka_dlt-original-topic', 'REQUESTS'],
      ['kafka_dlt-original-timestamp-type', 'CreateTime'],
      ['kafka_dlt-original-consumer-group', 'workers'],
    ]);
    expect(lastHeader(letter, 'kafka_dlt-original-partition')).toEqual(Buffer.from([0, 0, 0, 3]));
    expect(lastHeader(letter, 'kafka_dlt-original-offset')).toEqual(Buffer.from([0, 0, 0, 0, 0, 0, 0, 42]));
    expect(lastHeader(letter, 'kafka_dlt-original-timestamp')?.readBigInt64BE()).toBe(1_764_000_000_000n);
  });

  it('keeps the headers of others, replaces those of an earlier error, and stands last with its place', () => {
    const record = requestRecord({
      headers: [
        header('traceparent', 'trace'),
        header('kafka_dlt-exception-message', 'earlier'),
        header('kafka_dlt-key-exception-fqcn', 'earlier'),
        header('kafka_dlt-original-topic', 'FIRST'),
        header('fintrack_dlt-value-bytes', '7'),
      ],
    });
    const headers = headersOf(deadLetterRecord(record, error, target));
    expect(headers.slice(0, 2)).toEqual([
      ['traceparent', 'trace'],
      ['kafka_dlt-original-topic', 'FIRST'],
    ]);
    const names = headers.map(([name]) => name);
    expect(names.filter((name) => name === 'kafka_dlt-exception-message')).toHaveLength(1);
    expect(names).not.toContain('kafka_dlt-key-exception-fqcn');
    expect(names).not.toContain('fintrack_dlt-value-bytes');
    expect(headers.filter(([name]) => name === 'kafka_dlt-original-topic').at(-1)?.[1]).toBe('REQUESTS');
  });

  it('holds no stack, and no text of an error that is not ours', () => {
    const secret = 'postgres://me:canary@host/db';
    const letter = deadLetterRecord(requestRecord(), PipelineError.from(new Error(`refused ${secret}`)), target);
    const text = JSON.stringify(headersOf(letter));
    expect(text).not.toMatch(/canary|\.ts|node_modules/);
    expect(text).toContain('PipelineError [internal]: unexpected error');
  });

  it('is taken by a broker, however long the text of its error', () => {
    const letter = deadLetterRecord(requestRecord(), new RequestError('timeout', 'x'.repeat(5_000_000)), target);
    expect(sizeOf(letter)).toBeLessThan(10_000);
  });
});

describe('the dead letter of a record that fills what a broker takes', () => {
  const limit = 1_048_576 - 500;

  it('loses the headers first', () => {
    const value = Buffer.alloc(1_000_000, 'x');
    const letter = deadLetterRecord(
      requestRecord({ value, headers: [header('big', 'x'.repeat(60_000))] }),
      error,
      target,
    );
    expect(letter.value).toBe(value);
    expect(lastHeader(letter, 'big')).toBeUndefined();
    expect(lastHeader(letter, 'fintrack_dlt-value-bytes')).toBeUndefined();
    expect(lastHeader(letter, 'kafka_dlt-original-topic')?.toString()).toBe('REQUESTS');
  });

  it('then the end of its value, and says so', () => {
    const value = Buffer.alloc(3_000_000, 'x');
    const letter = deadLetterRecord(requestRecord({ value }), error, target);
    expect(sizeOf(letter)).toBeLessThan(limit);
    expect(Buffer.byteLength(letter.value ?? '')).toBeGreaterThan(1_000_000);
    expect(letter.key?.toString()).toBe('key');
    expect(lastHeader(letter, 'fintrack_dlt-value-bytes')?.toString()).toBe('3000000');
  });

  it('or its key, where that is what fills it', () => {
    const letter = deadLetterRecord(requestRecord({ key: Buffer.alloc(2_000_000), value: null }), error, target);
    expect(sizeOf(letter)).toBeLessThan(limit);
    expect(letter).toMatchObject({ key: null, value: null });
    expect(lastHeader(letter, 'fintrack_dlt-value-bytes')?.toString()).toBe('0');
  });

  // issue 10, item 5
  it('is cut to what its topic takes, with its key and the text of its error', () => {
    const record = requestRecord({ key: Buffer.alloc(2_000), value: Buffer.alloc(50_000, 'x') });
    const long = new RequestError('request_malformed', '\u{1F4C8}'.repeat(2_000));
    const letter = deadLetterRecord(record, long, { ...target, maxBytes: 10_000 });
    expect(recordBytes(letter)).toBe(10_000);
    expect(letter.key).toBeNull();
    expect(lastHeader(letter, 'fintrack_dlt-value-bytes')?.toString()).toBe('50000');
  });
});
