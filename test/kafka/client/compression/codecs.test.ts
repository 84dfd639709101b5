import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decompress } from '../../../../src/kafka/client/compression/codecs.ts';
import { lz4Compress } from '../../../../src/kafka/client/compression/lz4.ts';
import { snappyCompress } from '../../../../src/kafka/client/compression/snappy.ts';
import { zstdCompress, zstdDecompressSlowly } from '../../../../src/kafka/client/compression/zstd.ts';

const [gzip, snappy, lz4, zstd] = [1, 2, 3, 4] as const;
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** Texts with repetitions near and far, and noise. */
const contents = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 5_000 }))
        .map(([part, times]) => new Uint8Array(Buffer.concat(new Array<Uint8Array>(times).fill(part)))),
    ),
    { maxLength: 12 },
  )
  .map((parts) => Buffer.concat(parts));

// issue 10, 8
describe('what is compressed', () => {
  it.each([
    ['snappy', snappy, snappyCompress],
    ['lz4', lz4, lz4Compress],
  ] as const)('is read as it was before: %s', async (_name, kind, compress) => {
    await fc.assert(
      fc.asyncProperty(contents, async (content) => {
        expect((await decompress(kind, compress(content))).equals(content)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('becomes smaller where it repeats itself', () => {
    const content = Buffer.from('{"symbol":"AAPL","asset_type":"STOCK"},'.repeat(1_000));
    expect(snappyCompress(content).length).toBeLessThan(content.length / 10);
    expect(lz4Compress(content).length).toBeLessThan(content.length / 50);
  });

  // The bytes of snappy-java, python-snappy, lz4 and zstd of the command line for these texts.
  it.each([
    ['snappy, bare', snappy, hex('05 10 68 65 6c 6c 6f'), 'hello'],
    ['snappy, bare, with a repetition', snappy, hex('0c 08 61 62 63 15 03'), 'abcabcabcabc'],
    ['snappy, a stream', snappy, hex('82534e4150505900 00000001 00000001 00000007 05 10 68656c6c6f'), 'hello'],
    ['lz4', lz4, hex('04224d18 64 40 a7 05000080 68656c6c6f 00000000 05a3 30 fb'), 'hello'],
    ['zstd', zstd, hex('28b52ffd 24 05 29 0000 68656c6c6f a3 6d 9f 88'), 'hello'],
    ['zstd without a checksum, of unknown size', zstd, hex('28b52ffd 00 58 29 0000 68656c6c6f'), 'hello'],
    ['gzip', gzip, gzipSync('hello'), 'hello'],
  ] as const)('is read in every form there is: %s', async (_name, kind, bytes, text) => {
    expect((await decompress(kind, bytes)).toString()).toBe(text);
  });

  it.runIf(zstdCompress !== undefined)('is read by both ways to read Zstandard', async () => {
    await fc.assert(
      fc.asyncProperty(contents, async (content) => {
        const written = (await zstdCompress?.(content)) ?? Buffer.alloc(0);
        expect((await decompress(zstd, written)).equals(content)).toBe(true);
        expect(zstdDecompressSlowly(written).equals(content)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

const bound = 64 * 1024 * 1024;
const tooLarge = /it would become more than 64 MiB/;

/** A frame of Zstandard of runs of zeros: four bytes become 128 KiB. */
function zstdBomb(blocks: number): Buffer {
  const run = Buffer.from([(131_072 << 3) | 2, (131_072 << 3) >> 8, (131_072 << 3) >> 16, 0]);
  const last = Buffer.from([3, 0, 0, 0]);
  return Buffer.concat([hex('28b52ffd 00 58'), ...new Array<Buffer>(blocks).fill(run), last]);
}

/** A block of LZ4 that repeats one zero for 4 MiB, and frames of such blocks. */
function lz4Bomb(blocks: number): Buffer {
  const block = Buffer.concat([hex('1f 00 0100'), Buffer.alloc(16_448, 255), hex('2c')]);
  const head = Buffer.alloc(4);
  head.writeUInt32LE(block.length);
  const parts = new Array<Buffer>(blocks).fill(Buffer.concat([head, block]));
  return Buffer.concat([hex('04224d18 60 70 73'), ...parts, Buffer.alloc(4)]);
}

/** What it takes at most beside what is there. */
async function takenBy(work: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage();
  await work();
  const after = process.memoryUsage();
  return after.arrayBuffers - before.arrayBuffers;
}

// issue 10, 8
describe('what would become more than 64 MiB', () => {
  it.each([
    ['gzip', gzip, gzipSync(Buffer.alloc(bound + 1))],
    ['snappy', snappy, hex('81 80 80 20 fe 01 00')],
    ['snappy, a stream of blocks', snappy, snappyCompress(Buffer.alloc(bound + 1))],
    ['lz4', lz4, lz4Bomb(17)],
    ['zstd', zstd, zstdBomb(513)],
  ] as const)('is refused before that: %s', async (_name, kind, bytes) => {
    const taken = await takenBy(() => expect(decompress(kind, bytes)).rejects.toThrow(tooLarge));
    expect(taken).toBeLessThan(3 * bound);
  });

  it('is refused by the way to read Zstandard that needs no Node.js of today, too', () => {
    expect(() => zstdDecompressSlowly(zstdBomb(513))).toThrow(tooLarge);
    expect(zstdDecompressSlowly(zstdBomb(4)).length).toBe(4 * 131_072);
    // Its window and its size alone would take that much.
    expect(() => zstdDecompressSlowly(hex('28b52ffd 00 88 01 0000'))).toThrow(tooLarge);
    expect(() => zstdDecompressSlowly(hex('28b52ffd e0 ffffffffffff0000 01 0000'))).toThrow(tooLarge);
  });

  it('is read up to there', async () => {
    for (const [kind, bytes] of [
      [gzip, gzipSync(Buffer.alloc(bound))],
      [lz4, lz4Bomb(16)],
      [zstd, zstdBomb(512)],
    ] as const) {
      expect((await decompress(kind, bytes)).length).toBe(bound);
    }
  });
});

// issue 10, 8
describe('what is broken', () => {
  it.each([
    ['gzip', gzip, Buffer.from('no gzip')],
    ['snappy', snappy, hex('05 10 68 65')],
    ['snappy, too short', snappy, hex('06 10 68656c6c6f')],
    ['snappy, a repetition of nothing', snappy, hex('0c 08 61 62 63 15 04')],
    ['snappy, a stream that ends', snappy, hex('82534e4150505900 00000001 00000001 000000ff 05')],
    ['lz4', lz4, Buffer.from('no lz4 at all')],
    ['lz4 that ends', lz4, hex('04224d18 64 40 a7 05000080 6865')],
    ['zstd', zstd, Buffer.from('no zstd at all')],
    ['zstd that ends', zstd, hex('28b52ffd 24 05 29 0000 68')],
  ] as const)('is refused, and it is said how it was compressed: %s', async (name, kind, bytes) => {
    await expect(decompress(kind, bytes)).rejects.toThrow(new RegExp(`^${name.slice(0, 3)}`));
  });

  it('is refused in a way that is not known', async () => {
    await expect(decompress(5, Buffer.from('?'))).rejects.toThrow(/unknown way, number 5/);
  });

  it('never costs more than a failure', async () => {
    const start = { [snappy]: snappyCompress, [lz4]: lz4Compress };
    const cases = fc.tuple(fc.constantFrom(snappy, lz4, zstd), fc.uint8Array({ maxLength: 200 }), fc.nat(30));
    await fc.assert(
      fc.asyncProperty(cases, async ([kind, noise, place]) => {
        const bytes =
          kind === zstd
            ? hex('28b52ffd 24 05 29 0000 68656c6c6f 42 35 ff 92')
            : start[kind](Buffer.from('hello'.repeat(20)));
        Buffer.from(noise).copy(bytes, place % bytes.length);
        await decompress(kind, bytes).catch((error: unknown) => expect(error).toBeInstanceOf(Error));
      }),
      { numRuns: 500 },
    );
  });
});
