import type { Batch } from '../../model/batch.ts';
import type { Ledger } from '../../model/ports.ts';
import type { Patience } from './Patience.ts';

/** The same ledger, with patience; `signal` ends its waits. */
export function patientLedger<I, T>(
  ledger: Ledger<I, T>,
  patience: Patience,
  signal: AbortSignal | undefined,
): Ledger<I, T> {
  const call = { signal };
  return {
    accept: (request) => patience.run(() => ledger.accept(request), call),
    stored: (key, index) => patience.run(() => ledger.stored(key, index), call),
    storedNumbers: (key, numbers) => patience.run(() => ledger.storedNumbers(key, numbers), call),
    storeFailed: (key, batch) => patience.run(() => ledger.storeFailed(key, batch), call),
    begin: (start, below) => patience.run(() => ledger.begin(start, below), call),
    // Whoever hands back is leaving, mostly because of the signal or of the database: it is tried once, and waited for by nobody.
    handBack: (start) => ledger.handBack(start),
    batches: (key, numbers) =>
      resuming(
        () => ledger.batches(key, numbers),
        (next) => patience.run(next, call),
      ),
  };
}

/** Batches in the order of their numbers: where reading them failed, it begins anew and leaves out what came before. */
async function* resuming<I, T>(
  open: () => AsyncIterable<Batch<I, T>>,
  run: (next: () => Promise<IteratorResult<Batch<I, T>, unknown>>) => Promise<IteratorResult<Batch<I, T>, unknown>>,
): AsyncGenerator<Batch<I, T>, void, undefined> {
  let reading: AsyncIterator<Batch<I, T>> | undefined;
  let last = -1;
  const next = async (): Promise<IteratorResult<Batch<I, T>, unknown>> => {
    try {
      reading ??= open()[Symbol.asyncIterator]();
      for (;;) {
        const result = await reading.next();
        if (result.done === true || result.value.index > last) return result;
      }
    } catch (error) {
      reading = undefined;
      throw error;
    }
  };
  try {
    for (let result = await run(next); result.done !== true; result = await run(next)) {
      last = result.value.index;
      yield result.value;
    }
  } finally {
    await reading?.return?.();
  }
}
