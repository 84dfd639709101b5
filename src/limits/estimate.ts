import type { FetchEstimate, Limiter, Provider, QuotaWindow } from '../model/ports.ts';
import { InputQueue, type Entry } from './fetching/inputQueue.ts';
import { WindowRoom } from './windowRoom.ts';

interface EstimateCircumstances {
  readonly lane?: string | undefined;
  readonly request?: string | undefined;
  /** Credits that the same request takes before. */
  readonly ahead?: number | undefined;
}

/** What it takes to fetch the inputs of a work batch through the limiter, by what is known now; sends nothing. */
export function estimate<I>(
  provider: Provider<I, unknown>,
  limiter: Limiter,
  inputs: readonly I[],
  { lane, request, ahead = 0 }: EstimateCircumstances = {},
): FetchEstimate {
  const windows = limiter.windows?.(lane) ?? [];
  const cut = cutIntoCalls(provider, inputs, new WindowRoom(windows, ahead));
  return { ...cut, doneAt: limiter.forecast(ahead + cut.credits, lane, request), windows };
}

/** How many credits one call may get at most: the wait for more than that ends with so many. */
export function mostAtOnce(windows: readonly QuotaWindow[]): number {
  return Math.min(...windows.map(({ credits }) => credits));
}

/** The calls of a batch, cut as `limited` cuts them. */
function cutIntoCalls<I>(
  provider: Provider<I, unknown>,
  inputs: readonly I[],
  room: WindowRoom,
): { readonly calls: number; readonly credits: number } {
  const queue = new InputQueue(inputs);
  const costOf = (entries: readonly Entry<I>[]): number => provider.cost(entries.map(({ input }) => input));
  // Where such a batch is cut, so are those before it, and the last of their calls takes along what its window has left.
  let comesAlong = !room.isUntouched && costOf(queue.waiting()) > room.capacity;
  let calls = 0;
  let credits = 0;
  while (queue.first !== undefined) {
    const entries = queue.take(provider.maxBatchSize, room.credits, costOf);
    if (entries.length > 0) {
      if (!comesAlong) calls += 1;
      comesAlong = false;
      credits += costOf(entries);
      room.use(costOf(entries));
    } else if (room.isUntouched) {
      queue.remove([queue.first]); // costs more than a window holds, and is never sent
    } else {
      room.renew();
      comesAlong = false;
    }
  }
  return { calls, credits };
}
