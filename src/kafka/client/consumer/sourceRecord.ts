import type { IHeaders, KafkaMessage } from 'kafkajs';
import type { RecordHeader, SourceRecord, TopicPartition } from '../../../model/recordPorts.ts';

/**
 * A message of kafkajs as the record it is. Its bytes are its own: as a part of what was fetched, a request of a few bytes
 * would keep a whole batch in memory, which may be 64 MiB, for as long as it is open.
 */
export function toSourceRecord({ topic, partition }: TopicPartition, message: KafkaMessage): SourceRecord {
  return {
    topic,
    partition,
    offset: BigInt(message.offset),
    timestampMs: Number(message.timestamp),
    key: message.key && Buffer.from(message.key),
    value: message.value && Buffer.from(message.value),
    headers: toHeaders(message.headers ?? {}),
  };
}

/** kafkajs puts the values of a name that comes more than once into an array. */
function toHeaders(headers: IHeaders): RecordHeader[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    // A header without a value is read as an empty one.
    (Array.isArray(value) ? value : [value]).map((each) => ({ name, value: Buffer.from(each ?? '') })),
  );
}
