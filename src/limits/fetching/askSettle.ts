import type { Standing } from '../../model/outcome.ts';
import type { FetchCall } from '../../model/ports.ts';
import type { AbortListeners } from '../abortListeners.ts';
import type { InputQueue } from './inputQueue.ts';
import { orAborted } from './orAborted.ts';
import type { Results } from './results.ts';

/** The credits are held meanwhile: whoever waits for a database that is away is not waited for. */
const longestMs = 5_000;

interface SettleCircumstances<I> {
  readonly signal: AbortSignal;
  readonly aborts: AbortListeners;
  readonly keyOf: (input: I) => string;
}

/** Takes out what has become fresh while the batch waited, and narrows the rest to what is still missing. */
export async function settleWaiting<I, T>(
  call: FetchCall<I, T>,
  queue: InputQueue<I>,
  results: Results<T>,
  { signal, aborts, keyOf }: SettleCircumstances<I>,
): Promise<void> {
  const entries = queue.waiting();
  const inputs = entries.map(({ input }) => input);
  const standings = await askSettle(call, inputs, { signal, aborts });
  // Meanwhile the calls of others may have taken some along.
  const waiting = new Set(queue.waiting());
  for (const [position, entry] of entries.entries()) {
    const standing = standings[position];
    if (standing === undefined || !waiting.has(entry)) continue;
    if (standing.status === 'fresh') results.put([entry], { status: 'fresh', value: standing.value });
    else Object.assign(entry, { input: standing.input, key: keyOf(standing.input) });
  }
  queue.remove(entries.filter((entry) => results.has(entry)));
}

/**
 * Asks what has become fresh, one answer per input. Without a usable answer in time everything counts as still missing: that costs
 * credits and no truth.
 */
export async function askSettle<I, T>(
  call: FetchCall<I, T>,
  inputs: readonly I[],
  until: { readonly signal: AbortSignal; readonly aborts: AbortListeners },
): Promise<readonly Standing<I, T>[]> {
  const missing = inputs.map((input) => ({ status: 'pending', input }) as const);
  try {
    const standings = await inTime(ask(call, inputs), until.signal, until.aborts);
    return standings.length === inputs.length ? standings : missing;
  } catch {
    return missing;
  }
}

async function inTime<R>(asking: Promise<R>, signal: AbortSignal, aborts: AbortListeners): Promise<R> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort();
  }, longestMs);
  try {
    return await orAborted(orAborted(asking, late.signal, aborts), signal, aborts);
  } finally {
    clearTimeout(timer);
  }
}

/** An error thrown at once is a rejection like any other. */
async function ask<I, T>(call: FetchCall<I, T>, inputs: readonly I[]): Promise<readonly Standing<I, T>[]> {
  return (await call.settle?.(inputs)) ?? [];
}
