import { promisify } from 'node:util';
import { unzip } from 'node:zlib';
import kafkajs, { type CompressionTypes } from 'kafkajs';
import { maxBatchBytes } from './bound.ts';
import { lz4Compress, lz4Decompress } from './lz4.ts';
import { snappyCompress, snappyDecompress } from './snappy.ts';
import { zstdCompress, zstdDecompress } from './zstd.ts';

/** What batches of records may be compressed with, by the number that stands in them. */
const kinds = { 1: 'gzip', 2: 'snappy', 3: 'lz4', 4: 'zstd' } as const;

/** A way to compress what is sent. */
export type Compression = 'none' | (typeof kinds)[keyof typeof kinds];

const unzipped = promisify(unzip);

const readers: Readonly<Record<keyof typeof kinds, (bytes: Buffer) => Buffer | Promise<Buffer>>> = {
  1: (bytes) => unzipped(bytes, { maxOutputLength: maxBatchBytes }),
  2: snappyDecompress,
  3: lz4Decompress,
  4: zstdDecompress,
};

/** The records of a batch as they were before they were compressed; none may become more than `maxBatchBytes`. */
export async function decompress(kind: number, bytes: Buffer): Promise<Buffer> {
  if (!isKnown(kind)) throw new Error(`it is compressed in an unknown way, number ${kind}`);
  try {
    return await readers[kind](bytes);
  } catch (error) {
    const isTooLarge = (error as { readonly code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE';
    const reason = isTooLarge ? `it would become more than ${maxBatchBytes / 1024 / 1024} MiB` : messageOf(error);
    throw new Error(`${kinds[kind]}: ${reason.replace(`${kinds[kind]}: `, '')}`, { cause: error });
  }
}

/** Whether this Node.js can write it. */
export function canCompress(compression: Compression): boolean {
  return compression !== 'zstd' || zstdCompress !== undefined;
}

/** The number of kafkajs for what is sent; what it cannot write by itself it gets from here. */
export function compressionType(compression: Compression): CompressionTypes {
  const { CompressionTypes: types } = kafkajs;
  switch (compression) {
    case 'none':
      return types.None;
    case 'gzip':
      return types.GZIP;
    case 'snappy':
      return registered(types.Snappy, snappyCompress);
    case 'lz4':
      return registered(types.LZ4, lz4Compress);
    case 'zstd':
      return registered(types.ZSTD, zstdCompress);
  }
}

function registered(
  type: CompressionTypes,
  compress: ((bytes: Buffer) => Buffer | Promise<Buffer>) | undefined,
): CompressionTypes {
  const codec = {
    compress: async ({ buffer }: { readonly buffer: Buffer }) => compress?.(buffer),
    decompress: (bytes: Buffer) => decompress(type, bytes),
  };
  Object.assign(kafkajs.CompressionCodecs, { [type]: () => codec });
  return type;
}

function isKnown(kind: number): kind is keyof typeof kinds {
  return kind in kinds;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
