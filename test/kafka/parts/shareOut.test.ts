import { describe, expect, it } from 'vitest';
import { marketDataTopic } from '../../../src/kafka/requests/requestTopics.ts';
import { shareOut } from '../../../src/kafka/parts/shareOut.ts';
import { workReader } from '../../../src/kafka/parts/workRecord.ts';
import { memoryBroker } from '../../../src/memory/memoryBroker.ts';
import type { RecordSink, SinkRecord } from '../../../src/model/recordPorts.ts';
import { assetsOf } from './workBench.ts';

const request = { topic: 'WORK', pipeline: 'market-data', key: 'IN-0-42-0', batchSize: 2 } as const;

describe('shareOut', () => {
  it('sends the missing batches as work that can be read, by their number to a partition', async () => {
    const broker = memoryBroker({ topics: { WORK: 3 } });
    const inputs = assetsOf(11);
    await shareOut({ ...request, sink: broker.sink(), inputs, missing: [0, 1, 3, 5] });
    const read = workReader(marketDataTopic(), 10_000);
    const works = broker.records('WORK').map((record) => ({ partition: record.partition, ...read(record) }));
    const common = { key: 'IN-0-42-0', pipeline: 'market-data' };
    expect(works).toEqual([
      { ...common, partition: 0, batch: 0, inputs: inputs.slice(0, 2) },
      { ...common, partition: 0, batch: 3, inputs: inputs.slice(6, 8) },
      { ...common, partition: 1, batch: 1, inputs: inputs.slice(2, 4) },
      { ...common, partition: 2, batch: 5, inputs: inputs.slice(10) },
    ]);
    expect(broker.records('WORK').map(({ key }) => Buffer.from(key ?? '').toString())[1]).toBe('IN-0-42-0#3');
  });

  it('makes no longer error of work with more faults', () => {
    const read = workReader(marketDataTopic(), 1_000_000);
    const value = Buffer.from(
      JSON.stringify({ key: 'a', pipeline: 'market-data', batch: 0, inputs: Array(9_000).fill(1) }),
    );
    const record = { topic: 'WORK', partition: 0, offset: 0n, timestampMs: 0, key: null, value, headers: [] };
    expect(() => read(record)).toThrow(/^request: (inputs\.\d: [^;]+; ){5}and 8995 more$/);
  });

  it('makes and sends the records of a large request piece by piece', async () => {
    const sends: number[] = [];
    const sink: Pick<RecordSink, 'send' | 'partitionsOf'> = {
      partitionsOf: () => Promise.resolve(12),
      send: (records: readonly SinkRecord[]) => {
        sends.push(records.length);
        return Promise.resolve();
      },
    };
    const missing = Array.from({ length: 250 }, (_, batch) => batch);
    await shareOut({ ...request, sink: sink as RecordSink, inputs: assetsOf(500), missing });
    expect(sends).toEqual([100, 100, 50]);
  });

  it('asks nobody when nothing is missing', async () => {
    const sink = memoryBroker().sink();
    await shareOut({ ...request, sink, inputs: assetsOf(4), missing: [] });
    await expect(shareOut({ ...request, sink, inputs: assetsOf(4), missing: [1] })).rejects.toMatchObject({
      code: 'publish_failed',
    });
  });
});
