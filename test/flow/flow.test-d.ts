import { of, type Observable, type OperatorFunction } from 'rxjs';
import { describe, expectTypeOf, it } from 'vitest';
import type { Emitter } from '../../src/flow/Emitter.ts';
import { FlowError, type FlowErrorCode } from '../../src/flow/FlowError.ts';
import { apart } from '../../src/flow/apart.ts';
import { fromPages } from '../../src/flow/fromPages.ts';
import { fromPull } from '../../src/flow/fromPull.ts';
import { mergeMapBounded, type MergeMapBoundedOptions } from '../../src/flow/mergeMapBounded.ts';
import type { Pull } from '../../src/flow/pull.ts';

async function* names(): AsyncGenerator<string> {
  yield 'AAPL';
}

describe('fromPull', () => {
  it('emits the type of the items, whatever the form of the source', () => {
    expectTypeOf(fromPull([1, 2])).toEqualTypeOf<Observable<number>>();
    expectTypeOf(fromPull('abc')).toEqualTypeOf<Observable<string>>();
    expectTypeOf(fromPull(new Map<string, number>())).toEqualTypeOf<Observable<[string, number]>>();
    expectTypeOf(fromPull(names())).toEqualTypeOf<Observable<string>>();
    expectTypeOf(fromPull(names)).toEqualTypeOf<Observable<string>>();
    expectTypeOf(fromPull((signal) => (signal.aborted ? [1] : [2]))).toEqualTypeOf<Observable<number>>();
    expectTypeOf(fromPull([1] as Pull<number>)).toEqualTypeOf<Observable<number>>();
  });

  it('gives the factory an AbortSignal', () => {
    fromPull((signal) => {
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      return [signal];
    });
  });

  it('refuses what cannot be iterated', () => {
    // @ts-expect-error a number is no source
    expectTypeOf(fromPull).toBeCallableWith(42);
    // @ts-expect-error a promise of an array is no source
    expectTypeOf(fromPull).toBeCallableWith(Promise.resolve([1]));
  });
});

describe('fromPages', () => {
  it('emits the type of the items of a page', () => {
    expectTypeOf(fromPages([['a'], ['b']])).toEqualTypeOf<Observable<string>>();
    expectTypeOf(fromPages([[1]] as const)).toEqualTypeOf<Observable<1>>();
    expectTypeOf(fromPages((_signal: AbortSignal): Pull<readonly number[]> => [[1]])).toEqualTypeOf<
      Observable<number>
    >();
  });

  it('refuses a source of anything but arrays', () => {
    // @ts-expect-error numbers are no pages
    expectTypeOf(fromPages<number>).toBeCallableWith([1, 2]);
  });
});

describe('mergeMapBounded', () => {
  it('is an operator from the items to what the inner Observables emit', () => {
    const operator = mergeMapBounded((value: string, index) => of(value.length + index), { concurrency: 2 });
    expectTypeOf(operator).toEqualTypeOf<OperatorFunction<string, number>>();
  });

  it('takes the type of the items from the pipe, and unwraps promises and iterables', () => {
    expectTypeOf(of('a').pipe(mergeMapBounded((value) => Promise.resolve([value]), { concurrency: 1 }))).toEqualTypeOf<
      Observable<string[]>
    >();
    expectTypeOf(of('a').pipe(mergeMapBounded((value) => [value], { concurrency: 1 }))).toEqualTypeOf<
      Observable<string>
    >();
  });

  it('needs concurrency and no prefetch', () => {
    expectTypeOf<MergeMapBoundedOptions>().toEqualTypeOf<{ concurrency: number; prefetch?: number | undefined }>();
  });
});

describe('the pieces', () => {
  it('keep the types they are given', () => {
    expectTypeOf(apart(() => 1)).toEqualTypeOf<number>();
    expectTypeOf<Parameters<typeof Emitter.prototype.mustWait>>().toEqualTypeOf<[goOn: () => void]>();
    const error: unknown = undefined;
    if (FlowError.isInstance(error)) expectTypeOf(error.code).toEqualTypeOf<FlowErrorCode>();
  });
});
