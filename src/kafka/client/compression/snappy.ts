import { demandBound } from './bound.ts';
import { findMatches } from './findMatches.ts';
import { Output } from './Output.ts';

/** What the streams of snappy-java begin with: they hold blocks, each behind its length. Others write one bare block. */
const magic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const headerBytes = 16;
const blockBytes = 32 * 1024;

/** Reads both framings that there are in Kafka: a bare block, and the stream of snappy-java. */
export function snappyDecompress(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, magic.length).equals(magic)) return readBlock(bytes, 0);
  const blocks: Buffer[] = [];
  let size = 0;
  for (let place = headerBytes; place < bytes.length;) {
    const end = place + 4 + bytes.readUInt32BE(place);
    if (end > bytes.length) throw new Error('snappy: a block ends too early');
    const block = readBlock(bytes.subarray(place + 4, end), size);
    size += block.length;
    blocks.push(block);
    place = end;
  }
  return Buffer.concat(blocks, size);
}

/** Writes the stream of snappy-java, which every client of Kafka reads. */
export function snappyCompress(bytes: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  magic.copy(header);
  header.writeInt32BE(1, 8);
  header.writeInt32BE(1, 12);
  const parts: Uint8Array[] = [header];
  for (let place = 0; place < bytes.length; place += blockBytes) {
    const block = writeBlock(bytes.subarray(place, place + blockBytes));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

function readBlock(bytes: Buffer, before: number): Buffer {
  let place = 0;
  const byte = (): number => {
    const value = bytes[place++];
    if (value === undefined) throw new Error('snappy: it ends too early');
    return value;
  };
  const number = (length: number): number => {
    let value = 0;
    for (let index = 0; index < length; index++) value += byte() * 2 ** (8 * index);
    return value;
  };
  let size = 0;
  for (let scale = 1; ; scale *= 128) {
    const part = byte();
    size += (part & 0x7f) * scale;
    demandBound(before + size);
    if (part < 0x80) break;
  }
  const output = new Output(size);
  while (place < bytes.length) {
    const tag = byte();
    const kind = tag & 3;
    const upper = tag >> 2;
    if (kind === 0) {
      const length = (upper < 60 ? upper : number(upper - 59)) + 1;
      output.take(bytes, place, length);
      place += length;
    } else if (kind === 1) output.repeat(((tag >> 5) << 8) + byte(), (upper & 7) + 4);
    else output.repeat(number(kind === 2 ? 2 : 4), upper + 1);
  }
  return output.whole();
}

function writeBlock(bytes: Buffer): Buffer {
  const size: number[] = [];
  for (let rest = bytes.length; ; rest >>= 7) {
    if (rest < 0x80) {
      size.push(rest);
      break;
    }
    size.push((rest & 0x7f) | 0x80);
  }
  const parts: Uint8Array[] = [Buffer.from(size)];
  findMatches(bytes, (literals, match) => {
    if (literals.length > 0) parts.push(literalTag(literals.length - 1), literals);
    if (match === undefined) return;
    for (let left = match.length; left > 0;) {
      const length = Math.min(left, 64);
      parts.push(Buffer.from([((length - 1) << 2) | 2, match.distance & 0xff, match.distance >> 8]));
      left -= length;
    }
  });
  return Buffer.concat(parts);
}

/** A block has at most 32 KiB, so that two bytes always do. */
function literalTag(length: number): Buffer {
  return length < 60 ? Buffer.from([length << 2]) : Buffer.from([61 << 2, length & 0xff, length >> 8]);
}
