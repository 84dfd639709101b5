import { describe, expect, it } from 'vitest';
import { Assignment } from '../../src/model/assignment.ts';
import type { TopicPartition } from '../../src/model/recordPorts.ts';

const place = (partition: number): TopicPartition => ({ topic: 'topic', partition });
const at = (partition: number, offset: bigint) => ({ ...place(partition), offset });

describe('an assignment', () => {
  it('keeps the epoch of what is kept, and gives a new one to what is new', () => {
    const assignment = new Assignment();
    expect(assignment.join([place(0), place(1)], { kept: false })).toEqual({
      epoch: 1,
      revoked: [],
      assigned: [place(0), place(1)],
    });
    expect(assignment.join([place(1), place(2)], { kept: true })).toEqual({
      epoch: 2,
      revoked: [{ epoch: 1, partitions: [place(0)] }],
      assigned: [place(2)],
    });
    expect([assignment.owns(place(1), 1), assignment.owns(place(2), 2), assignment.owns(place(0), 1)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(assignment.leave()).toEqual([
      { epoch: 1, partitions: [place(1)] },
      { epoch: 2, partitions: [place(2)] },
    ]);
  });

  it('gives everything up when the membership was interrupted', () => {
    const assignment = new Assignment();
    assignment.join([place(0)], { kept: false });
    expect(assignment.accept(at(0, 4n))).toBe(1);
    expect(assignment.join([place(0)], { kept: false })).toEqual({
      epoch: 2,
      revoked: [{ epoch: 1, partitions: [place(0)] }],
      assigned: [place(0)],
    });
    expect(assignment.accept(at(0, 4n))).toBe(2);
    expect(() => assignment.demand(place(0), 1)).toThrow(expect.objectContaining({ code: 'fenced' }));
    expect(() => assignment.demand(place(0), 2)).not.toThrow();
  });

  it('accepts each record once, unless it is rewound', () => {
    const assignment = new Assignment();
    assignment.join([place(0)], { kept: false });
    const accepted = [3n, 5n, 3n, 5n, 6n].filter((offset) => assignment.accept(at(0, offset)) !== undefined);
    expect(accepted).toEqual([3n, 5n, 6n]);
    expect(assignment.rewind(at(0, 5n))).toBe(true);
    expect([3n, 5n].map((offset) => assignment.accept(at(0, offset)))).toEqual([undefined, 1]);
    expect(assignment.accept(at(1, 0n))).toBeUndefined();
    expect(assignment.rewind(at(1, 0n))).toBe(false);
  });

  it('forgets the pause of a partition that goes away', () => {
    const assignment = new Assignment();
    assignment.join([place(0), place(1)], { kept: false });
    expect(assignment.setPaused([place(0), place(7)], true)).toMatchObject([place(0)]);
    expect([assignment.isPaused(place(0)), assignment.isPaused(place(1))]).toEqual([true, false]);
    assignment.join([place(0)], { kept: true });
    expect(assignment.isPaused(place(0))).toBe(true);
    assignment.join([], { kept: true });
    assignment.join([place(0)], { kept: true });
    expect(assignment.isPaused(place(0))).toBe(false);
  });

  it('takes no commit back', () => {
    const assignment = new Assignment();
    assignment.join([place(0)], { kept: false });
    assignment.advance(place(0), 5n);
    assignment.advance(place(0), 3n);
    expect([5n, 6n].map((next) => assignment.advances(place(0), next))).toEqual([false, true]);
    expect(() => assignment.advance(place(9), 1n)).not.toThrow();
  });
});
