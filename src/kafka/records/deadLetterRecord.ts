import type { PipelineError } from '../../model/errors.ts';
import type { RecordHeader, SinkRecord, SourceRecord } from '../../model/recordPorts.ts';
import { cutMark, deadLetterHeaders, withoutEarlierErrors } from './deadLetterHeaders.ts';

/** What a broker takes of one record by default (max.message.bytes, 1 MiB), less what surrounds a record on the wire. */
const maxRecordBytes = 1_048_576 - 1_024;

/** The longest key that is kept beside a value that has to be cut. */
const maxKeyBytesBesideCut = 10_000;

export interface DeadLetterTarget {
  /** The topic for dead letters; it needs at least as many partitions as the topic of the record. */
  readonly topic: string;
  /** The consumer group that could not do it. */
  readonly groupId: string;
}

/**
 * Makes the dead letter of a record, in Spring's convention: same partition number, key and value untouched, and headers that
 * name the error (`kafka_dlt-exception-…`) and where the record stood (`kafka_dlt-original-…`).
 *
 * Of an earlier failure the headers on the error are removed, and those on its place kept before ours: the last one of a name
 * is the present one. No header holds a stack trace, or the text of an error that is not the library's.
 *
 * What a broker would not take (it has to be less than 1 MiB) loses its own headers, and if that is not enough the end of its
 * value; a header `fintrack_dlt-value-bytes` then tells how long it was. Without that, a record could never be put away.
 *
 * @example
 * ```ts
 * import { RequestError } from 'fintrack-pipelines';
 * import { deadLetterRecord } from 'fintrack-pipelines/kafka';
 *
 * const record = { topic: 'REQUESTS', partition: 3, offset: 42n, timestampMs: 0, key: null, value: Buffer.from('?'), headers: [] };
 * const error = new RequestError('request_malformed', 'request: expected JSON, got "?"');
 * const letter = deadLetterRecord(record, error, { topic: 'REQUESTS-dlt', groupId: 'workers' });
 * console.log(letter.topic, letter.partition, String(letter.value));
 * // REQUESTS-dlt 3 ?
 * console.log(letter.headers?.map(({ name }) => name).slice(0, 2));
 * // [ 'kafka_dlt-exception-fqcn', 'kafka_dlt-exception-message' ]
 * ```
 */
export function deadLetterRecord(
  record: SourceRecord,
  error: PipelineError,
  { topic, groupId }: DeadLetterTarget,
): SinkRecord {
  const { partition, key, value } = record;
  const added = deadLetterHeaders(record, error, groupId);
  const whole = { topic, partition, key, value, headers: [...withoutEarlierErrors(record.headers), ...added] };
  if (sizeOf(whole) <= maxRecordBytes) return whole;
  const bare = { ...whole, headers: added };
  return sizeOf(bare) <= maxRecordBytes ? bare : cut(bare);
}

interface Letter {
  readonly topic: string;
  readonly partition: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

function cut(letter: Letter): Letter {
  const { value, key } = letter;
  const shorter = {
    ...letter,
    key: (key?.byteLength ?? 0) > maxKeyBytesBesideCut ? null : key,
    headers: [...letter.headers, cutMark(value?.byteLength ?? 0)],
  };
  return { ...shorter, value: value?.subarray(0, maxRecordBytes - sizeOf({ ...shorter, value: null })) ?? null };
}

function sizeOf({ key, value, headers }: Letter): number {
  const fields = headers.reduce((sum, { name, value: content }) => sum + name.length * 3 + content.byteLength + 10, 0);
  return fields + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
}
