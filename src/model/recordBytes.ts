import type { SinkRecord } from './recordPorts.ts';

/** What a broker takes of one record by default (max.message.bytes, 1 MiB), less what surrounds a record on the wire. */
export const defaultMaxRecordBytes = 1_048_576 - 1_024;

/** Longest form of what surrounds a record that is sent alone, and of what surrounds a header. */
const frameBytes = 100;
const headerFrameBytes = 10;

/** How many bytes a record has at most where a broker measures it: with key, headers, and all that surrounds it. */
export function recordBytes({ key, value, headers = [] }: SinkRecord): number {
  return headers.reduce(
    (sum, header) => sum + bytesOf(header.name) + bytesOf(header.value) + headerFrameBytes,
    frameBytes + bytesOf(key) + bytesOf(value),
  );
}

function bytesOf(content: Uint8Array | string | null | undefined): number {
  return content == null ? 0 : Buffer.byteLength(content);
}
