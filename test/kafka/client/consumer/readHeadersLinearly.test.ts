import { createRequire } from 'node:module';
import { beforeAll, describe, expect, it } from 'vitest';
import { readHeadersLinearly } from '../../../../src/kafka/client/consumer/readHeadersLinearly.ts';

const nodeRequire = createRequire(import.meta.url);
const Decoder = nodeRequire('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => object;
const decodeRecord = nodeRequire('kafkajs/src/protocol/recordBatch/record/v0/decoder.js') as (
  decoder: object,
  batch: object,
) => { readonly headers: Record<string, Buffer | null | (Buffer | null)[]> };
const encodeRecord = nodeRequire('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (record: object) => {
  readonly buffer: Buffer;
};

const batch = { firstOffset: '0', firstTimestamp: '0', magicByte: 2 };

/** The headers of a record that kafkajs has written and reads again. */
function readAgain(headers: object) {
  const { buffer } = encodeRecord({ offsetDelta: 0, timestampDelta: 0, key: null, value: null, headers });
  const bytes = buffer.subarray(lengthOf(buffer));
  return decodeRecord(new Decoder(bytes), batch).headers;
}

/** Of the number that a record begins with: its last byte has no highest bit. */
function lengthOf(buffer: Buffer): number {
  return buffer.findIndex((byte) => byte < 0x80) + 1;
}

beforeAll(() => {
  readHeadersLinearly();
});

describe('the headers of a record', () => {
  it('are what they were, those of one name in a list', () => {
    const [one, two] = [Buffer.from('1'), Buffer.from('2')];
    expect(readAgain({})).toEqual({});
    expect(readAgain({ a: one, b: [one, two, one] })).toEqual({ a: one, b: [one, two, one] });
  });

  // kafkajs takes what every object inherits for an earlier header of that name, which ended every consumer that read it.
  it('are not taken for what every object has', () => {
    const sent = ['toString', 'constructor', '__proto__'].map((name) => [name, Buffer.from('sent')] as const);
    expect(Object.entries(readAgain(Object.fromEntries(sent)))).toEqual(sent);
  });

  // Without the care this takes hours.
  it('are read at once however many there are', () => {
    const headers = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`h${String(index)}`, 'v']));
    expect(Object.keys(readAgain(headers))).toHaveLength(100_000);
  });
});
