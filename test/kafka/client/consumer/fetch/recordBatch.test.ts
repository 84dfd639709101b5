import { describe, expect, it } from 'vitest';
import { decodeBatch, nextBatch } from '../../../../../src/kafka/client/consumer/fetch/recordBatch.ts';
import { batchOf, withChecksum } from './batches.ts';

async function readAgain(batch: Buffer) {
  const head = nextBatch(batch);
  if (head === undefined) throw new Error('no batch');
  return (await decodeBatch(head, { from: 0n, most: Infinity })).messages;
}

const headersAfter = async (headers: object) =>
  (await readAgain(await batchOf(0, [{ value: 'a', headers }])))[0]?.headers;

describe('a batch of records', () => {
  it('is what kafkajs has written', async () => {
    const batch = await batchOf(40, [{ key: 'k', value: 'a', headers: { h: 'v' } }, { value: null }], {
      transactional: true,
    });
    expect(nextBatch(batch)).toMatchObject({ first: 40n, next: 42n, magic: 2 });
    const [first, second] = await readAgain(batch);
    expect(first).toMatchObject({ offset: '40', timestamp: '1000', isControlRecord: false });
    expect(first?.batchContext).toEqual({ producerId: '7', inTransaction: true });
    expect([String(first?.key), String(first?.value), String(first?.headers['h'])]).toEqual(['k', 'a', 'v']);
    expect(second).toMatchObject({ offset: '41', timestamp: '1001', key: null, value: null, headers: {} });
  });

  it('is waited for when the broker has cut it off', async () => {
    const batch = await batchOf(0, [{ value: 'a' }]);
    for (const length of [0, 10, 60, batch.length - 1]) expect(nextBatch(batch.subarray(0, length))).toBeUndefined();
  });

  // issue 10, 8: kafkajs looks at no checksum, and reads what is left as if it were records.
  it.each([
    ['a byte of a record', (batch: Buffer) => void (batch[batch.length - 2]! ^= 1), /checksum/],
    ['its number of records', (batch: Buffer) => void withChecksum(patch(batch, 57, 3)), /ends too early/],
    ['fewer records than it has', (batch: Buffer) => void withChecksum(patch(batch, 57, 0)), /more in the batch/],
    ['the length of a record', (batch: Buffer) => void withChecksum(patch8(batch, 61, 0x7e)), /ends too early/],
    ['a length of no sense', (batch: Buffer) => void withChecksum(patch8(batch, 61, 0x01)), /ends too early/],
    ['its compression', (batch: Buffer) => void withChecksum(patch8(batch, 22, 7)), /unknown way, number 7/],
  ])('is refused with the reason when something is wrong: %s', async (_name, harm, reason) => {
    const batch = await batchOf(0, [{ value: 'abc' }]);
    harm(batch);
    await expect(readAgain(batch)).rejects.toThrow(reason);
  });
});

function patch(batch: Buffer, place: number, value: number): Buffer {
  batch.writeInt32BE(value, place);
  return batch;
}

function patch8(batch: Buffer, place: number, value: number): Buffer {
  batch.writeUInt8(value, place);
  return batch;
}

describe('the headers of a record', () => {
  it('are what they were, those of one name in a list', async () => {
    const [one, two] = [Buffer.from('1'), Buffer.from('2')];
    expect(await headersAfter({})).toEqual({});
    expect(await headersAfter({ a: one, b: [one, two, one] })).toEqual({ a: one, b: [one, two, one] });
  });

  // kafkajs takes what every object inherits for an earlier header of that name, which ended every consumer that read it.
  it('are not taken for what every object has', async () => {
    const sent = ['toString', 'constructor', '__proto__'].map((name) => [name, Buffer.from('sent')] as const);
    expect(Object.entries((await headersAfter(Object.fromEntries(sent))) ?? {})).toEqual(sent);
  });

  // Without the care this takes hours.
  it('are read at once however many there are', async () => {
    const headers = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`h${String(index)}`, 'v']));
    // Issue 10, 11: more than 10,000 are left out.
    expect(Object.keys((await headersAfter(headers)) ?? {})).toHaveLength(10_000);
  });
});
