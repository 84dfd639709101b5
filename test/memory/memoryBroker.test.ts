import { describe, it } from 'vitest';
import { memoryBroker } from '../../src/memory/memoryBroker.ts';
import { recordContract, type RecordsUnderTest } from '../../src/testing/recordContract.ts';

async function open(): Promise<RecordsUnderTest> {
  const broker = memoryBroker();
  let topics = 0;
  return {
    createTopic: async (partitions, limits) => {
      topics += 1;
      broker.createTopic(`topic-${String(topics)}`, partitions, limits);
      return `topic-${String(topics)}`;
    },
    source: (groupId, names) => broker.source({ groupId, topics: names }),
    sink: () => broker.sink(),
    records: async (topic) => broker.records(topic),
    sendUndecodable: async (topic, partition) => broker.sendUndecodable(topic, partition, 'broken'),
    crash: (source) => broker.crash(source),
    [Symbol.asyncDispose]: async () => {},
  };
}

describe('the broker in memory keeps the contract: it', () => {
  for (const { name, run } of recordContract(open)) it(name, run);
});
