import type { RecordHeader, SinkRecord, SourceRecord } from '../../../src/model/recordPorts.ts';

/** A request as it came in. */
export function requestRecord(fields: Partial<SourceRecord> = {}): SourceRecord {
  return {
    topic: 'REQUESTS',
    partition: 3,
    offset: 42n,
    timestampMs: 1_764_000_000_000,
    key: Buffer.from('key'),
    value: Buffer.from('{"assets":"no list"}'),
    headers: [],
    ...fields,
  };
}

export function header(name: string, value: string): RecordHeader {
  return { name, value: Buffer.from(value) };
}

/** The headers as pairs of text. */
export function headersOf({ headers = [] }: Pick<SinkRecord, 'headers'>): [string, string][] {
  return headers.map(({ name, value }) => [name, Buffer.from(value).toString()]);
}

/** The bytes of the last header of that name, which is what Spring reads. */
export function lastHeader({ headers = [] }: Pick<SinkRecord, 'headers'>, wanted: string): Buffer | undefined {
  const found = headers.filter(({ name }) => name === wanted).at(-1);
  return found && Buffer.from(found.value);
}
