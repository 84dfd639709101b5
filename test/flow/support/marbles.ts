import { TestScheduler } from 'rxjs/testing';
import { expect } from 'vitest';

/** Runs `test` in virtual time, with the helpers of RxJS's TestScheduler. */
export function marbles(test: Parameters<TestScheduler['run']>[0]): void {
  new TestScheduler((actual, expected) => {
    expect(actual).toEqual(expected);
  }).run(test);
}
