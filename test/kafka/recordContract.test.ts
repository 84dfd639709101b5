import { describe, it } from 'vitest';
import { recordContract } from '../../src/testing/recordContract.ts';
import { kafkaBroker } from '../support/kafka.ts';
import { openKafka } from './harness.ts';

const broker = await kafkaBroker();

describe.skipIf(broker === undefined)('Kafka keeps the contract: it', () => {
  for (const { name, run } of recordContract(() => openKafka(broker?.brokers ?? []))) it(name, run, 30_000);
});
