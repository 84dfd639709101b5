import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';

/** A request as a server counted it. */
export interface Arrival {
  /** When it was counted, in milliseconds of any one clock. */
  readonly at: number;
  /** What it cost. */
  readonly credits: number;
}

export interface ExpectedWindow {
  /** Most credits that any window may hold. */
  readonly limit: number;
  /** The length of the window, in milliseconds. */
  readonly windowMs: number;
}

const resolveOptions = defineOptions<ExpectedWindow>('expectWindow')({
  limit: z.number().min(0),
  windowMs: z.number().min(0),
});

/**
 * Asserts that no sliding window of `windowMs` holds more than `limit` credits, whatever the order of the arrivals; a plain
 * number is an arrival of one credit. Two arrivals exactly `windowMs` apart are in different windows.
 *
 * Returns the most credits that any window held. Throws an `Error` that names the first window that holds too many.
 *
 * @example
 * ```ts
 * import { expectWindow } from 'fintrack-pipelines/testing';
 *
 * console.log(expectWindow([0, 10, 1_000], { limit: 2, windowMs: 1_000 }));
 * // 2
 * ```
 */
export function expectWindow(arrivals: Iterable<Arrival | number>, expected: ExpectedWindow): number {
  const { limit, windowMs } = resolveOptions(expected);
  const sorted = [...arrivals]
    .map((arrival) => (typeof arrival === 'number' ? { at: arrival, credits: 1 } : arrival))
    .sort((a, b) => a.at - b.at);
  let most = 0;
  let held = 0;
  let oldest = 0;
  for (const [index, { at, credits }] of sorted.entries()) {
    held += credits;
    for (let first = sorted[oldest]; first !== undefined && at - first.at >= windowMs; first = sorted[oldest]) {
      held -= first.credits;
      oldest += 1;
    }
    if (held > limit) throw overLimit(sorted.slice(oldest, index + 1), held, { limit, windowMs });
    most = Math.max(most, held);
  }
  return most;
}

function overLimit(arrivals: readonly Arrival[], held: number, { limit, windowMs }: ExpectedWindow): Error {
  const shown = arrivals.slice(-10).map(({ at, credits }) => `${credits} at ${at}`);
  const more = arrivals.length > shown.length ? `${arrivals.length - shown.length} more, ` : '';
  return new Error(`${held} credits within ${windowMs} ms, but the limit is ${limit}: ${more}${shown.join(', ')}`);
}
