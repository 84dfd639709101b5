import { map, range } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { OptionsError } from '../../src/model/errors.js';
import { batch } from '../../src/operators/batch.js';
import { marbles } from './marbles.js';
const pairs = { x: ['a', 'b'], y: ['c'], z: ['a'] };
describe('batch', () => {
  it('emits nothing for an empty source', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  --|';
      const expected = '--|';
      expectObservable(cold(source).pipe(batch())).toBe(expected);
    });
  });
  it('emits a partial batch on complete', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  -a---|';
      const expected = '-----(z|)';
      expectObservable(cold(source).pipe(batch({ batchSize: 2 }))).toBe(expected, pairs);
    });
  });
  it('emits each batch as soon as it is full', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  -a-b-c|';
      const expected = '---x--(y|)';
      expectObservable(cold(source).pipe(batch({ batchSize: 2 }))).toBe(expected, pairs);
    });
  });
  it('waits with a source that never ends', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  -a---';
      const expected = '-----';
      expectObservable(cold(source).pipe(batch({ batchSize: 2 }))).toBe(expected);
    });
  });
  it('drops a partial batch on error', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  -a-b-c-#';
      const expected = '---x---#';
      expectObservable(cold(source).pipe(batch({ batchSize: 2 }))).toBe(expected, pairs);
    });
  });
  it('passes on what a function of the user throws above it', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  -a-b-|';
      const expected = '-#';
      const fail = () => {
        throw new Error('user');
      };
      expectObservable(cold(source).pipe(map(fail), batch())).toBe(expected, undefined, new Error('user'));
    });
  });
  it('unsubscribes its source when it is unsubscribed', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = '  -a-b-c-d-|';
      const stop = '    ----!';
      const expected = '---x-';
      const letters = cold(source);
      expectObservable(letters.pipe(batch({ batchSize: 2 })), stop).toBe(expected, pairs);
      expectSubscriptions(letters.subscriptions).toBe('^---!');
    });
  });
  it('holds 100 items unless told otherwise', () => {
    const sizes = [];
    range(0, 250)
      .pipe(batch())
      .subscribe((items) => sizes.push(items.length));
    expect(sizes).toEqual([100, 100, 50]);
  });
  it.each([0, -1, 1.5, 10_001, Number.NaN])('refuses a batch size of %s', (batchSize) => {
    expect(() => batch({ batchSize })).toThrow(OptionsError);
  });
});
