import { describe, expect, it } from 'vitest';
import { together } from '../../src/flow/together.ts';
import { deferred } from '../support/deferred.ts';

describe('together', () => {
  it('puts what comes during a run into the next one, in order', async () => {
    const first = deferred();
    const runs: (readonly number[])[] = [];
    const add = together<number>((items) => {
      runs.push(items);
      return runs.length === 1 ? first.promise : Promise.resolve();
    });
    const one = add(1);
    await Promise.resolve();
    const rest = [add(2), add(3)];
    expect(runs).toEqual([[1]]);
    first.resolve();
    await Promise.all([one, ...rest]);
    await add(4);
    expect(runs).toEqual([[1], [2, 3], [4]]);
  });

  it('tells those of a run that failed, and goes on', async () => {
    let runs = 0;
    const add = together<number>(() => (++runs === 1 ? Promise.reject(new Error('broken')) : Promise.resolve()));
    const failed = [add(1), add(2)];
    await expect(failed[0]).rejects.toThrow('broken');
    await expect(failed[1]).rejects.toThrow('broken');
    await expect(add(3)).resolves.toBeUndefined();
    expect(runs).toBe(2);
  });
});
