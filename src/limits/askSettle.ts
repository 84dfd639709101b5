import type { Standing } from '../model/outcome.ts';
import type { FetchCall } from '../model/ports.ts';
import type { AbortListeners } from './abortListeners.ts';
import { orAborted } from './orAborted.ts';

/**
 * Asks what has become fresh, one answer per input. Without a usable answer everything counts as still missing: that costs
 * credits and no truth.
 */
export async function askSettle<I, T>(
  call: FetchCall<I, T>,
  inputs: readonly I[],
  until: { readonly signal: AbortSignal; readonly aborts: AbortListeners },
): Promise<readonly Standing<I, T>[]> {
  const missing = inputs.map((input) => ({ status: 'pending', input }) as const);
  try {
    const standings = await orAborted(ask(call, inputs), until.signal, until.aborts);
    return standings.length === inputs.length ? standings : missing;
  } catch {
    return missing;
  }
}

/** An error thrown at once is a rejection like any other. */
async function ask<I, T>(call: FetchCall<I, T>, inputs: readonly I[]): Promise<readonly Standing<I, T>[]> {
  return (await call.settle?.(inputs)) ?? [];
}
