import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { Decompress } from 'fzstd';
import { demandBound, maxBatchBytes } from './bound.ts';

type Zstd = (bytes: Buffer, options: object, done: (error: Error | null, result: Buffer) => void) => void;

/** What node:zlib has of Zstandard: nothing before 22.15 and 23.8. */
const native = zlib as unknown as {
  readonly zstdCompress?: Zstd;
  readonly zstdDecompress?: Zstd;
  readonly constants: { readonly ZSTD_d_windowLogMax?: number };
};

/** Writes Zstandard; undefined where node:zlib does not have it. */
export const zstdCompress = writerOf(native.zstdCompress);

function writerOf(compress: Zstd | undefined): ((bytes: Buffer) => Promise<Buffer>) | undefined {
  return compress && ((bytes) => promisify(compress)(bytes, {}));
}

/** Reads Zstandard, with node:zlib where it has it. */
export async function zstdDecompress(bytes: Buffer): Promise<Buffer> {
  const { zstdDecompress: decompress, constants } = native;
  if (decompress === undefined || constants.ZSTD_d_windowLogMax === undefined) return zstdDecompressSlowly(bytes);
  // That of Node 22 resolves with a part of the data when a frame ends too early.
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(frameEnd(rest, 0));
  const params = { [constants.ZSTD_d_windowLogMax]: Math.log2(maxBatchBytes) };
  return promisify(decompress)(bytes, { maxOutputLength: maxBatchBytes, params });
}

const magic = 0xfd2fb528;
/** Frames that hold nothing of the data begin with one of sixteen numbers. */
const skippable = 0x184d2a50;
/** No block becomes more than that. */
const maxBlockBytes = 128 * 1024;

/** Reads Zstandard in JavaScript. */
export function zstdDecompressSlowly(bytes: Buffer): Buffer {
  const blocks: Uint8Array[] = [];
  let size = 0;
  for (let rest = bytes; rest.length > 0;) {
    const frame = rest.subarray(0, frameEnd(rest, size));
    if (frame.readUInt32LE(0) === magic) {
      const decompressor = new Decompress((block) => {
        size += block.length;
        demandBound(size);
        blocks.push(block);
      });
      decompressor.push(frame, true);
    }
    rest = rest.subarray(frame.length);
  }
  return Buffer.concat(blocks, size);
}

/**
 * Where the first of the frames ends. Its description is checked before memory is taken for what it names: fzstd would take up
 * to 2 GiB for its window.
 */
function frameEnd(bytes: Buffer, before: number): number {
  const head = bytes.readUInt32LE(0);
  if ((head & ~15) >>> 0 === skippable) return inside(bytes, 8 + bytes.readUInt32LE(4));
  if (head !== magic) throw new Error('zstd: it is no frame');
  const flag = bytes.readUInt8(4);
  const isSingle = (flag & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][flag & 3] ?? 0;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][flag >> 6] ?? 0;
  let place = 5;
  if (!isSingle) demandBound(windowBytes(bytes.readUInt8(place++)));
  place += dictionaryBytes;
  if (sizeBytes > 0)
    demandBound(BigInt(before) + littleEndian(bytes.subarray(place, inside(bytes, place + sizeBytes))));
  place += sizeBytes;
  for (let isLast = false; !isLast;) {
    const block = bytes.readUIntLE(place, 3);
    const length = block >> 3;
    if (length > maxBlockBytes) throw new Error('zstd: a block is larger than it may be');
    isLast = (block & 1) === 1;
    place += 3 + (((block >> 1) & 3) === 1 ? 1 : length); // one byte stands for all of a run
  }
  return inside(bytes, place + ((flag & 4) === 0 ? 0 : 4));
}

function windowBytes(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function littleEndian(bytes: Buffer): bigint {
  return bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

function inside(bytes: Buffer, end: number): number {
  if (end > bytes.length) throw new Error('zstd: it ends too early');
  return end;
}
