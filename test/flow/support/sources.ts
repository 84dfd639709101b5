import type { Observable } from 'rxjs';
import { map, timer } from 'rxjs';
import { fromPull } from '../../../src/flow/fromPull.ts';
import { mergeMapBounded } from '../../../src/flow/mergeMapBounded.ts';

/** A count that a test reads while a pipeline runs. */
export interface Counter {
  value: number;
}

/** The numbers from 0, counting each that is asked for. */
export function* counted(pulled: Counter, count: number): Generator<number> {
  for (let number = 0; number < count; number++) {
    pulled.value++;
    yield number;
  }
}

/** As `counted`, for asynchronous iteration. */
export async function* countedLater(pulled: Counter, count: number): AsyncGenerator<number> {
  yield* counted(pulled, count);
}

/** A bounded operator that holds each item for one millisecond of the test's time. */
export const slow = <Value>(concurrency = 4, prefetch = concurrency) =>
  mergeMapBounded((value: Value) => timer(1).pipe(map(() => value)), { concurrency, prefetch });

/** An asynchronous source whose answers a test gives by hand. */
export class ManualSource {
  /** How often it was asked for an item. */
  asked = 0;
  returned = 0;
  readonly #pending: ((result: IteratorResult<string>) => void)[] = [];

  readonly items: AsyncIterable<string> = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        this.asked++;
        return new Promise<IteratorResult<string>>((resolve) => this.#pending.push(resolve));
      },
      return: () => {
        this.returned++;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };

  readonly stream: Observable<string> = fromPull(this.items);

  async answer(value: string): Promise<void> {
    this.#pending.shift()!({ done: false, value });
    await settled();
  }

  async end(): Promise<void> {
    this.#pending.shift()!({ done: true, value: undefined });
    await settled();
  }
}

/** Lets every promise that is resolved by now have its effect, without a timer. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}
