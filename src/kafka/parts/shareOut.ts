import type { RecordSink } from '../../model/recordPorts.ts';
import type { PipelineName } from '../../model/requests/request.ts';
import { workRecord } from './workRecord.ts';

export interface ShareOutOptions {
  readonly sink: RecordSink;
  /** The work topic. */
  readonly topic: string;
  readonly pipeline: PipelineName;
  /** The ledger key of the request. */
  readonly key: string;
  /** All of the request's, as the ledger accepted them. */
  readonly inputs: readonly unknown[];
  readonly batchSize: number;
  /** The numbers of the batches that are still to be done. */
  readonly missing: readonly number[];
}

/** How many records are made and sent at once. */
const chunkSize = 100;

/**
 * Sends a record for each missing batch of a request, to the partition that its number belongs to: whoever sends a batch again
 * sends it to the same one, as long as the topic keeps its partitions. Rejects with a `PublishError` when not all are stored;
 * to send some twice does no harm, because a batch that is in the ledger is not done again.
 */
export async function shareOut(options: ShareOutOptions): Promise<void> {
  const { sink, topic, pipeline, key, inputs, batchSize, missing } = options;
  if (missing.length === 0) return;
  const partitions = await sink.partitionsOf(topic);
  for (let at = 0; at < missing.length; at += chunkSize) {
    const records = missing.slice(at, at + chunkSize).map((batch) => {
      const work = { key, pipeline, batch, inputs: inputs.slice(batch * batchSize, (batch + 1) * batchSize) };
      return workRecord(work, { topic, partition: batch % partitions });
    });
    await sink.send(records);
  }
}
