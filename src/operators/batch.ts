import { bufferCount, type OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';

export interface BatchOptions {
  /** Most items in one batch. Default: 100. */
  batchSize?: number | undefined;
}

const resolveOptions = defineOptions<BatchOptions>('batch')({
  batchSize: z.int().min(1).max(10_000).default(100),
});

/**
 * Groups items into arrays of at most `batchSize`.
 *
 * On complete, a partial batch is emitted; on error and on unsubscribe, it is dropped. Throws an `OptionsError` when
 * `batchSize` is not a whole number from 1 to 10,000.
 *
 * @example
 * ```ts
 * import { from } from 'rxjs';
 * import { batch } from 'fintrack-pipelines';
 *
 * from(['A', 'B', 'C']).pipe(batch({ batchSize: 2 })).subscribe((batch) => console.log(batch));
 * // [ 'A', 'B' ]
 * // [ 'C' ]
 * ```
 */
export function batch<Item>(options: BatchOptions = {}): OperatorFunction<Item, Item[]> {
  const { batchSize } = resolveOptions(options);
  return bufferCount(batchSize);
}
