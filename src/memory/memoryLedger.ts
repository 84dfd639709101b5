import { isDeepStrictEqual } from 'node:util';
import { isUnfinished, type Batch, type WriteCounts } from '../model/batch.ts';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { RequestError } from '../model/errors.ts';
import type { Outcome } from '../model/outcome.ts';
import type { Acceptance, Ledger, LedgerStart } from '../model/ports.ts';

export interface MemoryLedgerOptions {
  /** The clock of `acceptedAt`, in epoch milliseconds. Default: `Date.now`. */
  now?: (() => number) | undefined;
}

/** What a ledger keeps of a batch. */
export interface LedgerBatch<I, T> {
  readonly outcomes: readonly Outcome<I, T>[];
  readonly written: WriteCounts;
}

/** A ledger in memory that a sink writes to. */
export interface MemoryLedger<I, T> extends Ledger<I, T> {
  /** The batch as it stands, skipped inputs as skipped. */
  read(key: string, index: number): LedgerBatch<I, T> | undefined;
  /** Stores a batch in the place of what was stored of it before. */
  store(key: string, index: number, batch: LedgerBatch<I, T>): void;
}

interface AcceptedRequest<I> extends Acceptance<I> {
  readonly pipeline: string;
}

const resolveOptions = defineOptions<MemoryLedgerOptions>('memoryLedger')({
  now: callback<() => number>().default(() => () => Date.now()),
});

/**
 * A ledger in memory: it survives a run, not the process, and keeps what it is given for as long as it lives.
 *
 * The first acceptance of a key counts; the same key with another list or pipeline rejects with a `RequestError`,
 * `request_conflict`. `stored` answers inputs that were skipped as `pending`, because they were never tried; `batches`
 * answers them as skipped. A batch that was canceled is known to `stored` alone: to all others it is still to be done.
 *
 * @example
 * ```ts
 * import { memoryLedger } from 'fintrack-pipelines';
 *
 * const ledger = memoryLedger<string, number>();
 * await ledger.accept({ key: 'run:1', pipeline: 'market-data', inputs: ['AAPL'], batchSize: 100 });
 * const again = await ledger.accept({ key: 'run:1', pipeline: 'market-data', inputs: ['AAPL'], batchSize: 50 });
 * console.log(again.inputs, again.batchSize);
 * // [ 'AAPL' ] 100
 * ```
 */
export function memoryLedger<I, T>(options: MemoryLedgerOptions = {}): MemoryLedger<I, T> {
  const { now } = resolveOptions(options);
  const requests = new Map<string, AcceptedRequest<I>>();
  const batches = new Map<string, Map<number, LedgerBatch<I, T>>>();
  /** The tokens of open starts. */
  const starts = new Map<string, Set<string>>();

  const read = (key: string, index: number): LedgerBatch<I, T> | undefined => batches.get(key)?.get(index);

  const numbersOf = (key: string, numbers?: readonly number[]): number[] => {
    const wanted = numbers && new Set(numbers);
    const finished = [...(batches.get(key) ?? [])].filter(([, batch]) => !isUnfinished(batch)).map(([index]) => index);
    return finished.filter((index) => wanted?.has(index) ?? true).sort((one, other) => one - other);
  };

  async function* readAll(key: string, numbers?: readonly number[]): AsyncGenerator<Batch<I, T>, void, undefined> {
    for (const index of numbersOf(key, numbers)) {
      const batch = read(key, index);
      if (batch !== undefined) yield await Promise.resolve({ index, request: key, ...batch });
    }
  }

  const store = (key: string, index: number, batch: LedgerBatch<I, T>): void => {
    const known = batches.get(key) ?? new Map<number, LedgerBatch<I, T>>();
    batches.set(key, known.set(index, batch));
    for (const each of [{ key }, { key, batch: index }]) starts.delete(nameOf(each));
  };

  return {
    read,
    store,
    async accept({ key, pipeline, inputs, batchSize }) {
      const known = requests.get(key) ?? { pipeline, inputs: [...inputs], batchSize, acceptedAt: new Date(now()) };
      if (known.pipeline !== pipeline)
        throw conflict(key, `for the pipeline ${known.pipeline}, and now comes for ${pipeline}`);
      if (!isDeepStrictEqual(known.inputs, [...inputs])) {
        throw conflict(key, `with another list (${known.inputs.length} inputs, now ${inputs.length})`);
      }
      requests.set(key, known);
      return await Promise.resolve({ inputs: known.inputs, batchSize: known.batchSize, acceptedAt: known.acceptedAt });
    },
    async stored(key, index) {
      const batch = read(key, index);
      return await Promise.resolve(batch && { index, request: key, ...batch, outcomes: batch.outcomes.map(toPending) });
    },
    storedNumbers: async (key, numbers) => await Promise.resolve(numbersOf(key, numbers)),
    batches: readAll,
    async storeFailed(key, { index, inputs, error }) {
      await Promise.resolve();
      const known = read(key, index);
      if (known !== undefined && !isUnfinished(known)) return;
      const outcomes = inputs.map((input) => ({ status: 'failed', stage: 'fetch', input, error }) as const);
      store(key, index, { outcomes, written: { inserted: 0, updated: 0, unchanged: 0, transactions: 1 } });
    },
    async begin(start, below) {
      await Promise.resolve();
      const known = starts.get(nameOf(start)) ?? new Set();
      const earlier = [...known].filter((token) => token !== start.token).length;
      if (earlier < below) starts.set(nameOf(start), known.add(start.token));
      return earlier;
    },
    async handBack(start) {
      await Promise.resolve();
      starts.get(nameOf(start))?.delete(start.token);
    },
  };
}

function nameOf({ key, batch }: Omit<LedgerStart, 'token'>): string {
  return batch === undefined ? key : `${key}#${batch}`;
}

function toPending<I, T>(outcome: Outcome<I, T>): Batch<I, T>['outcomes'][number] {
  return outcome.status === 'skipped' || isUnfinished({ outcomes: [outcome] })
    ? { status: 'pending', input: outcome.input }
    : outcome;
}

function conflict(key: string, how: string): RequestError {
  return new RequestError(
    'request_conflict',
    `request ${key} was accepted before ${how}: a new request needs a new key`,
  );
}
