import { describe, expect, it } from 'vitest';
import { prepareTopics } from '../../src/kafka/prepareTopics.ts';
import {
  historicalMarketDataTopic,
  marketDataTopic,
  marketIndexDataTopic,
} from '../../src/kafka/requests/requestTopics.ts';
import { memoryBroker } from '../../src/memory/memoryBroker.ts';
import type { RecordTopics } from '../../src/model/recordPorts.ts';

const requestTopics = [marketDataTopic()];

describe('the topics of a worker', () => {
  it('are all created in a fresh deployment', async () => {
    const topics = memoryBroker().topics();
    const all = [marketDataTopic(), marketIndexDataTopic(), historicalMarketDataTopic()];
    const created = await prepareTopics({ topics, requestTopics: all, others: ['PROGRESS'], workPartitions: 4 });
    const names = all.flatMap(({ topic, completionTopic }) => [topic, completionTopic, `${topic}-dlt`]);
    const work = all.map(({ workTopic = '' }) => [workTopic, 4] as const);
    expect(new Map(created.map(({ topic, partitions }) => [topic, partitions]))).toEqual(
      new Map([...names.map((name) => [name, 1] as const), ['PROGRESS', 1], ...work]),
    );
    expect(await topics.describe(names)).toEqual(new Map(names.map((name) => [name, 1])));
  });

  it('are left as they are, and the dead letters get as many partitions as the requests', async () => {
    const broker = memoryBroker({ topics: { MARKET_DATA_UPDATE_REQUEST: 3, MARKET_DATA_UPDATE_WORK: 2 } });
    const topics = broker.topics();
    expect(await prepareTopics({ topics, requestTopics })).toEqual([
      { topic: 'MARKET_DATA_UPDATE_COMPLETE', partitions: 1 },
      { topic: 'MARKET_DATA_UPDATE_REQUEST-dlt', partitions: 3 },
    ]);
    expect(await topics.describe(['MARKET_DATA_UPDATE_WORK'])).toEqual(new Map([['MARKET_DATA_UPDATE_WORK', 2]]));
    expect(await prepareTopics({ topics, requestTopics })).toEqual([]);
  });

  it('are named when they are missing and nothing may be created', async () => {
    const broker = memoryBroker({ topics: { MARKET_DATA_UPDATE_REQUEST: 3, MARKET_DATA_UPDATE_COMPLETE: 1 } });
    const refused = prepareTopics({ topics: broker.topics(), requestTopics, create: false });
    await expect(refused).rejects.toMatchObject({
      code: 'broker_error',
      message:
        'topics are missing: MARKET_DATA_UPDATE_REQUEST-dlt (3 partitions), MARKET_DATA_UPDATE_WORK (12 partitions)',
    });
    expect(await broker.topics().describe(['MARKET_DATA_UPDATE_WORK'])).toEqual(new Map());
  });

  it('are refused when a dead letter could not keep its partition', async () => {
    const broker = memoryBroker({ topics: { MARKET_DATA_UPDATE_REQUEST: 3, 'MARKET_DATA_UPDATE_REQUEST-dlt': 1 } });
    const refused = prepareTopics({ topics: broker.topics(), requestTopics });
    await expect(refused).rejects.toMatchObject({ code: 'broker_error', retryable: false });
    await expect(refused).rejects.toThrow(
      /^MARKET_DATA_UPDATE_REQUEST-dlt has 1 partition and .*REQUEST 3: .* 3 partitions$/,
    );
  });

  it('are looked at again after creating: somebody else may have been faster, with another size', async () => {
    const broker = memoryBroker({ topics: { MARKET_DATA_UPDATE_REQUEST: 2 } });
    const topics = broker.topics();
    const raced: RecordTopics = {
      describe: (names) => topics.describe(names),
      create: (wanted) => {
        broker.createTopic('MARKET_DATA_UPDATE_REQUEST-dlt', 1);
        return topics.create(wanted);
      },
      ends: (topic) => topics.ends(topic),
      close: () => topics.close(),
    };
    await expect(prepareTopics({ topics: raced, requestTopics })).rejects.toThrow(/-dlt has 1 partition/);
  });
});
