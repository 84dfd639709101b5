import type { QuotaSeen } from '../../model/ports.ts';
import { marginMs } from './creditSource.ts';

/**
 * What others spent is kept back this much longer than a window (a second window at most): our own credits are free again
 * just when the answer that told of them is a window old, and the next answers need time to tell anew.
 */
const renewalMs = 5_000;

/** A provider's window, as we know it. */
export interface WindowShape {
  readonly capacity: number;
  readonly windowMs: number;
}

/** For how long what others spent is kept back. */
export function keptBackMs(windowMs: number): number {
  return windowMs + marginMs + Math.min(renewalMs, windowMs + marginMs);
}

/**
 * How many credits of a window are used, by everybody on the key; undefined when the provider says nothing of that.
 *
 * `left` counts more than `used`, which says nothing of the plan behind it. Numbers about a longer window than ours,
 * and numbers that are none, are ignored.
 */
export function usedByAll({ used, left, resetMs }: QuotaSeen, { capacity, windowMs }: WindowShape): number | undefined {
  if (capacity === Infinity || (resetMs ?? 0) > windowMs + marginMs) return undefined;
  if (isCount(left)) return capacity - left;
  return isCount(used) ? used : undefined;
}

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value >= 0;
}
