import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { announcedSpan, decodeAnnounced, encodeAnnounced } from '../../src/model/announcedBitmap.ts';

const offsets = fc.bigInt({ min: 0n, max: 2n ** 62n });
const distances = fc.uniqueArray(fc.integer({ min: 0, max: announcedSpan - 1 }), { maxLength: 200 });

describe('the announced records as text', () => {
  it('are read as they were written, in what Kafka stores with an offset', () => {
    fc.assert(
      fc.property(offsets, distances, (offset, after) => {
        const announced = new Set(after.map((distance) => offset + BigInt(distance)));
        const text = encodeAnnounced({ offset, announced });
        expect(text).toMatch(/^[\x20-\x7e]{0,4096}$/);
        expect(decodeAnnounced(offset, text)).toEqual(announced);
      }),
    );
  });

  it('leave out what the offset itself says already', () => {
    fc.assert(
      fc.property(offsets, fc.array(offsets), (offset, before) => {
        const announced = new Set(before.filter((done) => done < offset));
        expect(encodeAnnounced({ offset, announced })).toBe('');
      }),
    );
  });

  it('fill the room to the last bit, and no further', () => {
    const offset = 10n;
    const all = new Set(Array.from({ length: announcedSpan }, (_, distance) => offset + BigInt(distance)));
    const text = encodeAnnounced({ offset, announced: all });
    expect(announcedSpan).toBeGreaterThan(24_000);
    expect(text.length).toBeLessThanOrEqual(4_096);
    expect(decodeAnnounced(offset, text)).toEqual(all);
    const tooFar = { offset, announced: new Set([offset + BigInt(announcedSpan)]) };
    expect(() => encodeAnnounced(tooFar)).toThrow(expect.objectContaining({ code: 'options_invalid' }));
  });

  it('are none in a text of somebody else', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.startsWith('a1:'));
        expect(decodeAnnounced(0n, text)).toEqual(new Set());
      }),
    );
    expect(decodeAnnounced(0n, null)).toEqual(new Set());
    expect(decodeAnnounced(0n, 'a1:no base64')).toEqual(new Set());
    expect(decodeAnnounced(0n, 'a1:_-_-')).toEqual(new Set());
  });
});
