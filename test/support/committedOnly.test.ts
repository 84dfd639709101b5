import { expect, it } from 'vitest';
import { committedOnly, filterOfKafkajs } from './committedOnly.ts';

type Message = Parameters<typeof committedOnly>[0]['messages'][number];

const data = (offset: number, producerId: string): Message => ({
  offset: String(offset),
  key: null,
  batchContext: { producerId, inTransaction: true },
});

const end = (offset: number, producerId: string, type: 'abort' | 'commit'): Message => ({
  ...data(offset, producerId),
  key: Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1]),
  isControlRecord: true,
});

const offsetsOf = (messages: readonly Message[]): string[] =>
  messages.filter(({ isControlRecord }) => isControlRecord !== true).map(({ offset }) => offset);

it('leaves out aborted transactions that overlap, also when the one that ends first began last', () => {
  const messages = [
    data(24, 'A'),
    data(25, 'B'),
    end(26, 'B', 'abort'),
    end(27, 'A', 'abort'),
    data(28, 'A'),
    end(29, 'A', 'commit'),
  ];
  const abortedTransactions = [
    { firstOffset: '25', producerId: 'B' },
    { firstOffset: '24', producerId: 'A' },
  ];

  expect(offsetsOf(committedOnly({ messages, abortedTransactions }))).toEqual(['28']);
  // Why it is needed.
  expect(offsetsOf(filterOfKafkajs({ messages, abortedTransactions }))).toEqual(['24', '28']);
});

it('leaves out what belongs to transactions that began before what was fetched', () => {
  const messages = [data(24, 'B'), end(25, 'A', 'abort'), end(26, 'B', 'abort'), data(27, 'B'), end(28, 'B', 'commit')];
  const abortedTransactions = [
    { firstOffset: '20', producerId: 'A' },
    { firstOffset: '21', producerId: 'B' },
  ];

  expect(offsetsOf(committedOnly({ messages, abortedTransactions }))).toEqual(['27']);
  expect(offsetsOf(filterOfKafkajs({ messages, abortedTransactions }))).toEqual(['24', '27']);
});

it('keeps what is in no transaction, and all where none was aborted', () => {
  const plain = { ...data(1, '-1'), batchContext: { producerId: '-1', inTransaction: false } };
  const messages = [plain, data(2, 'A'), end(3, 'A', 'commit')];

  expect(offsetsOf(committedOnly({ messages }))).toEqual(['1', '2']);
});
