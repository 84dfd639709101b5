import { z } from 'zod';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import type { PipelineError } from '../model/errors.ts';
import type { Sink } from '../model/ports.ts';
import { Patience } from './patience/Patience.ts';
import { patientLedger } from './patience/patientLedger.ts';

export interface PatientSinkOptions<S extends Sink<unknown, unknown>> {
  /** The sink, such as `marketDataSink`. */
  sink: S;
  /** The first pause before the database is asked again, in milliseconds; it doubles each time. Default: 250. */
  minDelayMs?: number | undefined;
  /** The longest pause while the database is away or busy, in milliseconds. Default: 5000. */
  maxDelayMs?: number | undefined;
  /**
   * A call that has no answer for so long counts as waiting, too, in milliseconds: the database is away, unless it answers the
   * sink's `probe`, which is asked after half of the time; then it is busy. Default: 5000.
   */
  answerWithinMs?: number | undefined;
  /** Ends the waits of the ledger, whose calls have no signal of their own. Default: they wait until the database is back. */
  signal?: AbortSignal | undefined;
  /**
   * Told when the waiting begins, and why: once for each of the codes `database_unavailable`, `database_busy` (it answers, but a
   * statement is slow, or waits for a lock) and `database_not_ready`, however many calls wait. Default: nobody.
   */
  onWait?: ((error: PipelineError) => void) | undefined;
  /** Told when nobody has to wait any more, and after which time, in milliseconds. Default: nobody. */
  onBack?: ((waitedMs: number) => void) | undefined;
  /** Spreads the pauses between half and all of their length. Default: Math.random. */
  random?: (() => number) | undefined;
}

const delay = z.number().min(0).max(2_147_483_647);

const resolveOptions = defineOptions<PatientSinkOptions<Sink<unknown, unknown>>>('patientSink')({
  sink: port<Sink<unknown, unknown>>('a sink', 'write'),
  minDelayMs: delay.default(250),
  maxDelayMs: delay.default(5000),
  answerWithinMs: delay.default(5000),
  signal: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }).optional(),
  onWait: callback<(error: PipelineError) => void>().optional(),
  onBack: callback<(waitedMs: number) => void>().optional(),
  random: callback<() => number>().default(() => Math.random),
});

/** A sink that waits for its database. */
export type PatientSink<S extends Sink<unknown, unknown>> = Pick<S, keyof S & keyof Sink<unknown, unknown>> & {
  /** Whether a call waits for the database now; then whoever measures progress should not. */
  isWaiting(): boolean;
};

/**
 * The same sink, for a process that outlives its database: what fails because the database is away is tried again until it
 * succeeds or the call's signal fires, and nothing that was fetched is lost.
 *
 * Tried again is what fails with a retryable error, such as `database_unavailable`; `database_not_ready`, with pauses that grow
 * to a minute, because somebody has to see to the deployment; and any `database_error` while the sink's `probe` fails as well.
 * While the database is away, one call tries and all others wait for it. A write that is tried again means the same: rows get the time when their value was fetched, and whether
 * a COMMIT whose answer was lost had taken effect, the ledger tells. Other errors pass at once. An aborted call rejects at once with
 * the signal's reason.
 *
 * @example
 * ```ts
 * import { memorySink, SinkError } from 'fintrack-pipelines';
 * import { patientSink } from 'fintrack-pipelines/postgres';
 *
 * const stored = memorySink<string, number>();
 * let failures = 2;
 * const flaky: typeof stored = {
 *   ...stored,
 *   write: async (batch, call) => {
 *     if (failures-- > 0) throw new SinkError('database_unavailable', 'starting up', { retryable: true });
 *     return stored.write(batch, call);
 *   },
 * };
 * const sink = patientSink({ sink: flaky, minDelayMs: 1, onWait: ({ message }) => console.log(`waiting: ${message}`) });
 *
 * const { signal } = new AbortController();
 * const { inserted } = await sink.write({ index: 0, outcomes: [{ status: 'ok', input: 'A', value: 1 }] }, { signal });
 * console.log(`inserted ${inserted}`, sink.isWaiting());
 * // waiting: starting up
 * // inserted 1 false
 * ```
 */
export function patientSink<S extends Sink<unknown, unknown>>(options: PatientSinkOptions<S>): PatientSink<S> {
  const { sink, signal: ledgerSignal, ...settings } = resolveOptions(options);
  const { name, ledger } = sink;
  const probe = sink.probe && (async (): Promise<void> => sink.probe?.());
  const patience = new Patience({ name, probe, ...settings });
  const patient: Sink<unknown, unknown> = {
    name,
    ledger: ledger && patientLedger(ledger, patience, ledgerSignal),
    ...(probe && { probe }),
    ...(sink.refuse && { refuse: (input) => sink.refuse?.(input) }),
    ...(sink.current && {
      current: (inputs, call) =>
        patience.run(() => sink.current?.(inputs, call) ?? Promise.resolve([]), {
          signal: call.signal,
          // There is nothing to ask for: whether the database is there remains open.
          isProof: inputs.length > 0 && call.maxAgeMs > 0,
        }),
    }),
    write: (batch, call) => patience.run(() => sink.write(batch, call), call),
  };
  return { ...(patient as PatientSink<S>), isWaiting: () => patience.isWaiting };
}
