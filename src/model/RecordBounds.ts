import { PublishError } from './errors.ts';
import { defaultMaxRecordBytes, recordBytes } from './recordBytes.ts';
import type { SinkRecord } from './recordPorts.ts';

/** No bound goes below: a topic that takes less can hold no answer at all, and somebody has to see to it. */
const leastBytes = 1_000;

/** How large the records of each topic may be, as far as its refusals have told. */
export class RecordBounds {
  readonly #largest = new Map<string, number>();
  readonly #narrow = new Set<string>();

  /** The largest record worth sending to the topic, in bytes. */
  of(topic: string): number {
    return this.#largest.get(topic) ?? defaultMaxRecordBytes;
  }

  /** Whether the topic has refused records for their size: a broker measures what it gets at once, so they go one by one. */
  isNarrow(topic: string): boolean {
    return this.#narrow.has(topic);
  }

  /** Takes note of records that were refused together for their size; answers the error that tells it. */
  refused(records: readonly SinkRecord[]): PublishError {
    for (const { topic } of records) this.#narrow.add(topic);
    const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
    const [{ topic } = { topic: '' }, ...others] = records;
    if (others.length === 0) this.#largest.set(topic, Math.min(this.of(topic), Math.max(leastBytes, bytes >> 1)));
    const what = others.length === 0 ? 'a record' : `${records.length} records together`;
    const advice = 'raise max.message.bytes of the topic';
    return new PublishError(`${topic} does not take ${what} of ${bytes} bytes: ${advice}`, {
      code: 'record_too_large',
    });
  }
}
