import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { isUnfinished, type Batch, type WriteCounts } from '../model/batch.ts';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { SinkError, type PipelineError } from '../model/errors.ts';
import type { OkOutcome, Outcome, Standing } from '../model/outcome.ts';
import type { Sink, WriteResult } from '../model/ports.ts';
import { memoryLedger, type MemoryLedger } from './memoryLedger.ts';

export interface MemorySinkOptions<I> {
  /** What the sink is called in messages. Default: `memory`. */
  name?: string | undefined;
  /** Which row an input stands for. Default: its JSON text. */
  key?: ((input: I) => string) | undefined;
  /** Why the sink can never hold an input; undefined when it can. Default: it holds every input. */
  refuse?: ((input: I) => PipelineError | undefined) | undefined;
  /** The clock of a row's age, in epoch milliseconds. Default: `Date.now`. */
  now?: (() => number) | undefined;
}

/** A sink whose rows and ledger stay in the process. */
export interface MemorySink<I, T> extends Sink<I, T> {
  /** The values stored, by key, in the order in which they came first. */
  readonly rows: ReadonlyMap<string, T>;
  readonly ledger: MemoryLedger<I, T>;
  current(
    inputs: readonly I[],
    call: { readonly maxAgeMs: number; readonly signal: AbortSignal },
  ): Promise<readonly Standing<I, T>[]>;
  write(batch: Batch<I, T>, call?: { readonly signal: AbortSignal }): Promise<WriteResult<I, T>>;
}

const resolveOptions = defineOptions<MemorySinkOptions<unknown>>('memorySink')({
  name: z.string().min(1).default('memory'),
  key: callback<(input: unknown) => string>().default(() => JSON.stringify),
  refuse: callback<(input: unknown) => PipelineError | undefined>().optional(),
  now: callback<() => number>().default(() => () => Date.now()),
});

type Effect = 'inserted' | 'updated' | 'unchanged';

const noWrites: WriteCounts = { inserted: 0, updated: 0, unchanged: 0, transactions: 0 };

/**
 * A sink that keeps values in memory, with a ledger: the twin of a database for tests and demos.
 *
 * `current` answers as fresh what was received less than `maxAgeMs` ago. `write` counts rows as inserted, updated or
 * unchanged; of several values for one key the last counts, and a value that came later than the one given stays: that is the
 * one that the result tells. Writing the same batch of a request again stores nothing and
 * answers what is stored; only inputs that were skipped the first time are taken over. Aborted calls reject with a
 * `SinkError`, `canceled`, and store nothing.
 *
 * @example
 * ```ts
 * import { memorySink, type MarketIndex } from 'fintrack-pipelines';
 *
 * const sink = memorySink<MarketIndex, number>({ key: ({ symbol }) => symbol });
 * const { inserted } = await sink.write({
 *   index: 0,
 *   outcomes: [{ status: 'ok', input: { symbol: '^GSPC' }, value: 6000 }],
 * });
 * console.log(inserted, sink.rows);
 * // 1 Map(1) { '^GSPC' => 6000 }
 * ```
 */
export function memorySink<I, T>(options: MemorySinkOptions<I> = {}): MemorySink<I, T> {
  const { name, key, refuse, now } = resolveOptions(options as MemorySinkOptions<unknown>);
  const rows = new Map<string, T>();
  const receivedAt = new Map<string, number>();
  /** By the monotonic clock, because that of `now` may be set back. */
  const responseAt = new Map<string, number>();
  const ledger = memoryLedger<I, T>({ now });

  function standingOf(input: I, maxAgeMs: number): Standing<I, T> {
    const rowKey = key(input);
    const value = rows.get(rowKey);
    const age = now() - (receivedAt.get(rowKey) ?? Number.NEGATIVE_INFINITY);
    return value !== undefined && age < maxAgeMs ? { status: 'fresh', input, value } : { status: 'pending', input };
  }

  /** Answers what it did, and the outcome with the value that the row has now: one that is newer stays. */
  function storeRow(rowKey: string, outcome: OkOutcome<I, T>): { effect: Effect; told: OkOutcome<I, T> } {
    const { input, value, receivedAtMs = performance.now() } = outcome;
    const known = rows.get(rowKey);
    if (known !== undefined && (responseAt.get(rowKey) ?? receivedAtMs) > receivedAtMs) {
      return { effect: 'unchanged', told: { status: 'ok', input, value: known, receivedAtMs } };
    }
    const effect = !rows.has(rowKey) ? 'inserted' : isDeepStrictEqual(known, value) ? 'unchanged' : 'updated';
    rows.set(rowKey, value);
    receivedAt.set(rowKey, now() - (performance.now() - receivedAtMs));
    responseAt.set(rowKey, receivedAtMs);
    return { effect, told: outcome };
  }

  /** Stores the last value of each key; what it answers has the value of the row in all of its outcomes. */
  function storeRows(outcomes: readonly Outcome<I, T>[]): { counts: WriteCounts; told: readonly Outcome<I, T>[] } {
    const values = outcomes.filter((outcome) => outcome.status === 'ok');
    const counts = { ...noWrites, transactions: 1 };
    const told = new Map<string, OkOutcome<I, T>>();
    for (const [rowKey, outcome] of new Map(values.map((value) => [key(value.input), value]))) {
      const stored = storeRow(rowKey, outcome);
      counts[stored.effect] += 1;
      told.set(rowKey, stored.told);
    }
    const tell = (outcome: Outcome<I, T>): Outcome<I, T> => {
      const row = outcome.status === 'ok' ? told.get(key(outcome.input)) : undefined;
      return row === undefined || row.value === (outcome as OkOutcome<I, T>).value
        ? outcome
        : { ...row, input: outcome.input };
    };
    return { counts, told: outcomes.map(tell) };
  }

  function writeToLedger(request: string, index: number, outcomes: readonly Outcome<I, T>[]): WriteResult<I, T> {
    const known = ledger.read(request, index);
    if (known !== undefined && known.outcomes.length !== outcomes.length) {
      throw new SinkError(
        'request_conflict',
        `${name}: batch ${index} of request ${request} is stored with another size`,
      );
    }
    const taken = outcomes.filter((_, position) => isOpen(known?.outcomes[position]));
    if (known !== undefined && taken.length === 0) return { ...known.written, failed: [], stored: known.outcomes };
    const { counts, told } = storeRows(taken);
    const news = told.values();
    const stored = outcomes.map((outcome, position) => {
      const before = known?.outcomes[position];
      return before === undefined || isOpen(before) ? (news.next().value ?? outcome) : before;
    });
    const written = sum(known?.written ?? noWrites, counts);
    ledger.store(request, index, { outcomes: stored, written });
    return { ...written, failed: [], stored };
  }

  return {
    name,
    rows,
    ledger,
    ...(refuse && { refuse }),
    async current(inputs, { maxAgeMs, signal }) {
      refuseAborted(name, signal);
      return await Promise.resolve(inputs.map((input) => standingOf(input, maxAgeMs)));
    },
    async write({ request, index, outcomes }, { signal } = { signal: new AbortController().signal }) {
      refuseAborted(name, signal);
      const settled = outcomes.map(settle);
      if (request !== undefined) return await Promise.resolve(writeToLedger(request, index, settled));
      const { counts, told } = storeRows(settled);
      const changed = told.some((outcome, position) => outcome !== settled[position]);
      return { ...counts, failed: [], ...(changed && { stored: told }) };
    },
  };
}

/** Whether an input still has to be tried: nothing is known of it, or it was skipped. */
function isOpen(outcome: Outcome<unknown, unknown> | undefined): boolean {
  return outcome === undefined || outcome.status === 'skipped' || isUnfinished({ outcomes: [outcome] });
}

function settle<I, T>(outcome: Batch<I, T>['outcomes'][number]): Outcome<I, T> {
  return outcome.status === 'pending' ? { status: 'skipped', input: outcome.input, reason: 'canceled' } : outcome;
}

function sum(one: WriteCounts, other: WriteCounts): WriteCounts {
  return {
    inserted: one.inserted + other.inserted,
    updated: one.updated + other.updated,
    unchanged: one.unchanged + other.unchanged,
    transactions: one.transactions + other.transactions,
  };
}

function refuseAborted(name: string, signal: AbortSignal): void {
  if (signal.aborted) throw new SinkError('canceled', `${name}: canceled`, { cause: signal.reason });
}
