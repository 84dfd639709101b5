import { z } from 'zod';
import { defineOptions } from '../../model/defineOptions.ts';
import type { PipelineError } from '../../model/errors.ts';
import { defaultMaxRecordBytes, recordBytes } from '../../model/recordBytes.ts';
import type { RecordHeader, SinkRecord, SourceRecord } from '../../model/recordPorts.ts';
import { cutMark, deadLetterHeaders, withoutEarlierErrors } from './deadLetterHeaders.ts';

/** The longest key that is kept beside a value that has to be cut, and its part of what a topic takes. */
const maxKeyBytesBesideCut = 10_000;
const maxKeyShare = 0.1;

/** Longest text of an error in a header, in characters; two headers repeat it, and a character may take four bytes. */
const maxErrorCharacters = 2_000;
const errorShare = 0.05;

export interface DeadLetterTarget {
  /** The topic for dead letters; it needs at least as many partitions as the topic of the record. */
  readonly topic: string;
  /** The consumer group that could not do it. */
  readonly groupId: string;
  /** The largest record that the topic takes, in bytes, mostly `maxRecordBytes` of the sink. Default: 1 MiB, less 1 kB. */
  readonly maxBytes?: number | undefined;
}

const resolveOptions = defineOptions<DeadLetterTarget>('deadLetterRecord')({
  topic: z.string().min(1),
  groupId: z.string().min(1),
  maxBytes: z.int().min(1).default(defaultMaxRecordBytes),
});

/**
 * Makes the dead letter of a record, in Spring's convention: same partition number, key and value untouched, and headers that
 * name the error (`kafka_dlt-exception-…`) and where the record stood (`kafka_dlt-original-…`).
 *
 * Of an earlier failure the headers on the error are removed, and those on its place kept before ours: the last one of a name
 * is the present one. No header holds a stack trace, or the text of an error that is not the library's.
 *
 * What is more than `maxBytes` loses its own headers, and if that is not enough the end of its value; a header
 * `fintrack_dlt-value-bytes` then tells how long it was. Without that, a record could never be put away.
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
export function deadLetterRecord(record: SourceRecord, error: PipelineError, target: DeadLetterTarget): SinkRecord {
  const { topic, groupId, maxBytes } = resolveOptions(target);
  const { partition, key, value } = record;
  const added = deadLetterHeaders(record, error, {
    groupId,
    maxErrorCharacters: Math.min(maxErrorCharacters, Math.floor(maxBytes * errorShare)),
  });
  const whole = { topic, partition, key, value, headers: [...withoutEarlierErrors(record.headers), ...added] };
  if (recordBytes(whole) <= maxBytes) return whole;
  const bare = { ...whole, headers: added };
  return recordBytes(bare) <= maxBytes ? bare : cut(bare, maxBytes);
}

interface Letter {
  readonly topic: string;
  readonly partition: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

function cut(letter: Letter, maxBytes: number): Letter {
  const { value, key } = letter;
  const maxKeyBytes = Math.min(maxKeyBytesBesideCut, maxBytes * maxKeyShare);
  const shorter = {
    ...letter,
    key: (key?.byteLength ?? 0) > maxKeyBytes ? null : key,
    headers: [...letter.headers, cutMark(value?.byteLength ?? 0)],
  };
  const room = Math.max(0, maxBytes - recordBytes({ ...shorter, value: null }));
  return { ...shorter, value: value?.subarray(0, room) ?? null };
}
