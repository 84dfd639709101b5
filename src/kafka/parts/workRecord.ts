import { z } from 'zod';
import { RequestError } from '../../model/errors.ts';
import type { SinkRecord, SourceRecord } from '../../model/recordPorts.ts';
import { readMessage, type PipelineName } from '../../model/requests/request.ts';
import type { AnyRequestTopic } from '../requests/requestTopic.ts';

/** One batch of a request that several workers share. */
export interface Work<I> {
  /** The ledger key of the request. */
  readonly key: string;
  readonly pipeline: PipelineName;
  /** The number of the batch within the request. */
  readonly batch: number;
  readonly inputs: readonly I[];
}

/** The record of a batch, for the work topic. */
export function workRecord(
  work: Work<unknown>,
  to: { readonly topic: string; readonly partition: number },
): SinkRecord {
  return { ...to, key: nameOf(work), value: JSON.stringify(work) };
}

/** What tells a batch of a request from all others. */
export function nameOf({ key, batch }: Pick<Work<unknown>, 'key' | 'batch'>): string {
  return `${key}#${batch}`;
}

/** What the ledger can hold. */
const largestNumber = 2_147_483_647;

/**
 * Reads the records of a topic's work topic, which come from outside like all others. It throws a `RequestError` for what is
 * no work of this pipeline.
 */
export function workReader(topic: AnyRequestTopic, maxBytes: number): (record: SourceRecord) => Work<unknown> {
  // Partitions come and go with each rebalance, mostly without a record.
  let schema: ReturnType<typeof workSchema> | undefined;
  return ({ value }) => {
    if (value !== null && value.byteLength > maxBytes) {
      throw new RequestError('request_malformed', `work: expected at most ${maxBytes} bytes, got ${value.byteLength}`);
    }
    schema ??= workSchema(topic);
    return readMessage(schema, value);
  };
}

function workSchema({ pipeline, inputSchema }: AnyRequestTopic): z.ZodType<Work<unknown>> {
  return z.object({
    key: z.string().regex(/^\P{C}{1,512}$/u, { error: 'expected 1 to 512 printable characters' }),
    pipeline: z.literal(pipeline),
    batch: z.int().min(0).max(largestNumber),
    inputs: z.array(inputSchema).min(1).max(10_000),
  });
}
