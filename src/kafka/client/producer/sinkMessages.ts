import type { IHeaders, Message, TopicMessages } from 'kafkajs';
import { recordBytes } from '../../../model/recordBytes.ts';
import type { SinkRecord } from '../../../model/recordPorts.ts';

/** Bytes sent at once: a broker takes 1 MiB of one partition at most, by default (message.max.bytes). */
const chunkBytes = 512 * 1024;

/**
 * The records in their order, in lists that a broker takes; a record that is too large by itself stands alone, and so does each
 * of a topic that `isNarrow`.
 */
export function inChunks(records: readonly SinkRecord[], isNarrow: (topic: string) => boolean): SinkRecord[][] {
  const chunks: SinkRecord[][] = [];
  let bytes = Infinity;
  for (const record of records) {
    const own = isNarrow(record.topic) ? Infinity : recordBytes(record);
    if (bytes + own > chunkBytes) {
      chunks.push([]);
      bytes = 0;
    }
    bytes += own;
    chunks.at(-1)?.push(record);
  }
  return chunks;
}

/** The records in the words of kafkajs, by topic. */
export function toTopicMessages(records: readonly SinkRecord[]): TopicMessages[] {
  const byTopic = new Map<string, Message[]>();
  for (const record of records) {
    const messages = byTopic.get(record.topic) ?? [];
    byTopic.set(record.topic, messages);
    messages.push(toMessage(record));
  }
  return [...byTopic].map(([topic, messages]) => ({ topic, messages }));
}

function toMessage({ partition, key, value, headers, timestampMs }: SinkRecord): Message {
  return {
    key: toBytes(key ?? null),
    value: toBytes(value),
    ...(partition === undefined ? {} : { partition }),
    ...(headers === undefined ? {} : { headers: toHeaders(headers) }),
    ...(timestampMs === undefined ? {} : { timestamp: String(timestampMs) }),
  };
}

/** A name that comes more than once has its values in an array. */
function toHeaders(headers: NonNullable<SinkRecord['headers']>): IHeaders {
  const byName = new Map<string, Buffer[]>();
  for (const { name, value } of headers) {
    const values = byName.get(name) ?? [];
    byName.set(name, values);
    values.push(Buffer.from(value));
  }
  return Object.fromEntries(byName);
}

function toBytes(content: Uint8Array | string | null): Buffer | null {
  return content === null ? null : Buffer.from(content);
}
