import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OpenOffsets } from '../../../../src/kafka/requests/partition/OpenOffsets.ts';
import type { CommittedState } from '../../../../src/model/recordPorts.ts';

const state = (offset: bigint, ...announced: bigint[]): CommittedState => ({ offset, announced: new Set(announced) });

/** The offsets of a partition in which these are open. */
function opened(...offsets: readonly bigint[]): OpenOffsets {
  const open = new OpenOffsets();
  for (const offset of offsets) open.take(offset);
  return open;
}

describe('OpenOffsets', () => {
  it('takes each record once, and none that is done', () => {
    const offsets = new OpenOffsets();
    expect(offsets.takeOver(state(2n, 4n))).toEqual([]);
    expect([1n, 2n, 2n, 3n, 4n, 5n].map((offset) => offsets.take(offset))).toEqual([
      false,
      true,
      false,
      true,
      false,
      true,
    ]);
    expect(offsets.size).toBe(3);
  });

  it('says how far the group will have got, without taking it for granted', () => {
    const offsets = opened(0n, 1n, 2n);
    expect(offsets.stateAfter([1n])).toEqual(state(0n, 1n));
    expect(offsets.stateAfter([0n])).toEqual(state(1n));
    expect(offsets.stateAfter([0n, 1n, 2n])).toEqual(state(3n));
    expect(offsets.isOpen(1n)).toBe(true);
    offsets.finish([1n]);
    expect(offsets.isOpen(1n)).toBe(false);
    expect(offsets.stateAfter([0n])).toEqual(state(2n));
  });

  it('goes over what was announced before it was read', () => {
    const offsets = new OpenOffsets();
    offsets.takeOver(state(2n, 3n, 4n));
    offsets.take(2n);
    expect(offsets.stateAfter([2n])).toEqual(state(5n));
    offsets.finish([2n]);
    expect([3n, 4n, 5n].map((offset) => offsets.take(offset))).toEqual([false, false, true]);
  });

  it('measures from the oldest open record', () => {
    const offsets = opened(10n, 11n, 15n);
    expect([offsets.span(), offsets.span(20n)]).toEqual([6, 10]);
    offsets.finish([10n, 11n]);
    expect(offsets.span()).toBe(1);
    offsets.finish([15n]);
    expect([offsets.span(), offsets.span(1_000_000n)]).toEqual([0, 0]);
  });

  it('takes over what another owner has done, of what was read and of what was not', () => {
    const offsets = opened(0n, 1n, 2n, 3n);
    expect(offsets.takeOver(state(1n, 2n))).toEqual([0n, 2n]);
    expect(offsets.stateAfter()).toEqual(state(1n, 2n));
    expect(offsets.takeOver(state(7n, 9n))).toEqual([1n, 3n]);
    expect([5n, 7n, 9n, 10n].map((offset) => offsets.take(offset))).toEqual([false, true, false, true]);
    expect(offsets.stateAfter([7n])).toEqual(state(10n));
  });

  it('never says that a record is done which is not, nor the other way round', () => {
    const order = fc.uniqueArray(fc.nat({ max: 30 }), { maxLength: 31 });
    fc.assert(
      fc.property(fc.nat({ max: 31 }), order, fc.nat(), (taken, finished, restart) => {
        let offsets = new OpenOffsets();
        for (let offset = 0; offset < taken; offset++) offsets.take(BigInt(offset));
        const done = finished.filter((offset) => offset < taken).map(BigInt);
        for (const [index, offset] of done.entries()) {
          offsets.finish([offset]);
          if (index !== restart % 31) continue;
          // Another owner goes on from what was committed.
          const next = new OpenOffsets();
          next.takeOver(offsets.stateAfter());
          for (let each = 0; each < taken; each++) next.take(BigInt(each));
          offsets = next;
        }
        const { offset, announced } = offsets.stateAfter();
        const isDone = (each: bigint): boolean => each < offset || announced.has(each);
        for (let each = 0n; each < BigInt(taken); each++) {
          expect([each, isDone(each)]).toEqual([each, done.includes(each)]);
          expect(offsets.isOpen(each)).toBe(!isDone(each));
        }
        expect([...announced].every((each) => each > offset)).toBe(true);
      }),
    );
  });
});
