import { demandBound } from './bound.ts';
import { findMatches } from './findMatches.ts';
import { Output } from './Output.ts';
import { xxHash32 } from './xxHash32.ts';

const magic = 0x184d2204;
const version = 0x40;
const versionMask = 0xc0;
/** No block needs what stands in another one. */
const independent = 0x20;
const flags = { blockChecksum: 0x10, contentSize: 0x08, contentChecksum: 0x04, dictionary: 0x01 };
/** The largest size of a block, by the number in the frame's description. */
const blockSizes: Readonly<Record<number, number>> = { 4: 65_536, 5: 262_144, 6: 1_048_576, 7: 4_194_304 };
const ourBlocks = { code: 4, bytes: 65_536 };
/** Marks a block that was left as it is. */
const stored = 0x80000000;
/** A length of so much goes on in the bytes that follow. */
const longLength = 15;
const minMatch = 4;
/** A block can repeat what stands so far before it. */
const historyBytes = 65_536;

/** Reads the frames of LZ4, one after another. Their checksums are not looked at: that of the batch covers them. */
export function lz4Decompress(bytes: Buffer): Buffer {
  const reader = new FrameReader(bytes);
  while (!reader.isAtEnd) reader.readFrame();
  return reader.whole();
}

/** Writes one frame, of blocks of 64 KiB. */
export function lz4Compress(bytes: Buffer): Buffer {
  const description = Buffer.from([version | independent, ourBlocks.code << 4]);
  const parts: Uint8Array[] = [uint32(magic), description, Buffer.from([(xxHash32(description) >> 8) & 0xff])];
  for (let place = 0; place < bytes.length; place += ourBlocks.bytes) {
    const block = bytes.subarray(place, place + ourBlocks.bytes);
    const written = writeBlock(block);
    if (written.length < block.length) parts.push(uint32(written.length), written);
    else parts.push(uint32(block.length + stored), block);
  }
  parts.push(uint32(0));
  return Buffer.concat(parts);
}

class FrameReader {
  readonly #bytes: Buffer;
  readonly #blocks: Buffer[] = [];
  /** Where blocks are read into: behind those that they may repeat from. Each is copied from there. */
  #space = Buffer.alloc(0);
  #place = 0;
  #size = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#place >= this.#bytes.length;
  }

  whole(): Buffer {
    return Buffer.concat(this.#blocks, this.#size);
  }

  readFrame(): void {
    if (this.#uint32() !== magic) throw new Error('lz4: it is no frame');
    const flag = this.#bytes.readUInt8(this.#place);
    const blockBytes = blockSizes[(this.#bytes.readUInt8(this.#place + 1) >> 4) & 7];
    if ((flag & versionMask) !== version || (flag & flags.dictionary) !== 0 || blockBytes === undefined) {
      throw new Error('lz4: it is a frame of an unknown kind');
    }
    this.#place += 3 + ((flag & flags.contentSize) === 0 ? 0 : 8);
    if (this.#space.length < historyBytes + blockBytes) this.#space = Buffer.alloc(historyBytes + blockBytes);
    let history = 0;
    for (let head = this.#uint32(); head !== 0; head = this.#uint32()) {
      const end = this.#place + (head % stored);
      if (end > this.#bytes.length) throw new Error('lz4: a block ends too early');
      const block = this.#bytes.subarray(this.#place, end);
      const output = new Output(this.#space.subarray(0, history + blockBytes), history);
      if (head >= stored) output.take(block, 0, block.length);
      else readBlock(block, output);
      this.#keep(output.length - history, history);
      history = (flag & independent) === 0 ? this.#remember(output.length) : 0;
      this.#place = end + ((flag & flags.blockChecksum) === 0 ? 0 : 4);
    }
    this.#place += (flag & flags.contentChecksum) === 0 ? 0 : 4;
  }

  #keep(length: number, from: number): void {
    this.#size += length;
    demandBound(this.#size);
    this.#blocks.push(Buffer.from(this.#space.subarray(from, from + length)));
  }

  /** Moves the last bytes to the front, for a block that depends on those before it; answers how many. */
  #remember(end: number): number {
    const kept = Math.min(end, historyBytes);
    this.#space.copyWithin(0, end - kept, end);
    return kept;
  }

  #uint32(): number {
    this.#place += 4;
    return this.#bytes.readUInt32LE(this.#place - 4);
  }
}

function readBlock(bytes: Buffer, output: Output): void {
  let place = 0;
  const longer = (length: number): number => {
    let sum = length;
    for (let more = length === longLength ? 255 : 0; more === 255; sum += more) more = bytes.readUInt8(place++);
    return sum;
  };
  while (place < bytes.length) {
    const token = bytes.readUInt8(place++);
    const literals = longer(token >> 4);
    output.take(bytes, place, literals);
    place += literals;
    if (place >= bytes.length) break; // the last sequence has no repetition
    const distance = bytes.readUInt16LE(place);
    place += 2;
    output.repeat(distance, longer(token & 15) + minMatch);
  }
}

function writeBlock(block: Buffer): Buffer {
  const parts: Uint8Array[] = [];
  findMatches(block, (literals, match) => {
    const matched = match === undefined ? 0 : match.length - minMatch;
    const token = (Math.min(literals.length, longLength) << 4) | Math.min(matched, longLength);
    parts.push(Buffer.from([token, ...rest(literals.length)]), literals);
    if (match !== undefined) parts.push(Buffer.from([match.distance & 0xff, match.distance >> 8, ...rest(matched)]));
  });
  return Buffer.concat(parts);
}

/** What a token cannot hold of a length. */
function rest(length: number): number[] {
  if (length < longLength) return [];
  const left = length - longLength;
  return [...new Array<number>(Math.floor(left / 255)).fill(255), left % 255];
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
