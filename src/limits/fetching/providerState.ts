import type { PipelineError } from '../../model/errors.ts';
import type { Fetched, ProviderHealth } from '../../model/ports.ts';
import type { KeyRefusals } from '../../model/quotaPorts.ts';
import { askedMs } from '../pause.ts';
import { longestPeriodMs } from '../quotas/quotaPeriod.ts';
import { CircuitBreaker } from './circuitBreaker.ts';
import { DeadSymbols } from './deadSymbols.ts';
import { RefusedKey } from './refusedKey.ts';
import { outcomeOf } from './results.ts';
import { RetryBudget } from './retryBudget.ts';
import { SharedCalls, type Receiver } from './sharedCalls.ts';
import type { BatchInTurn } from './turn.ts';

/** A quota of which nobody says when it comes back is asked for again after this, and any other after a day at the latest. */
const unknownQuotaMs = 60_000;

export interface ProviderStateSettings {
  readonly now: () => number;
  readonly retryShare: number;
  readonly circuitFailures: number;
  readonly circuitOpenMs: number;
  readonly deadSymbolMs: number;
  readonly timeoutMs: number;
  readonly refusals?: KeyRefusals | undefined;
}

/** A batch on its way. */
export interface Run<I, T> extends Receiver<I, T> {
  readonly inTurn: BatchInTurn<I, T>;
  /** Nothing more is asked for. */
  end(ending: Fetched<T>): void;
}

/** The quota is gone. */
interface Verdict<T> {
  readonly error: PipelineError;
  readonly ending: Fetched<T>;
  /** Until when, by `performance.now()`. */
  readonly until: number;
}

/** What all batches on one fetcher know of its provider, so that what one of them learned the others need not pay for. */
export class ProviderState<I, T> {
  readonly breaker: CircuitBreaker;
  readonly key: RefusedKey;
  readonly budget: RetryBudget;
  readonly dead: DeadSymbols;
  readonly calls = new SharedCalls<I, T>();
  readonly #name: string;
  readonly #now: () => number;
  readonly #runs = new Set<Run<I, T>>();
  #verdict: Verdict<T> | undefined;

  constructor(name: string, settings: ProviderStateSettings) {
    const { now, retryShare, circuitFailures, circuitOpenMs, deadSymbolMs, timeoutMs, refusals } = settings;
    this.#name = name;
    this.#now = now;
    this.breaker = new CircuitBreaker({ provider: name, failures: circuitFailures, openMs: circuitOpenMs });
    this.key = new RefusedKey({ provider: name, timeoutMs, refusals });
    this.budget = new RetryBudget(retryShare);
    this.dead = new DeadSymbols(deadSymbolMs);
  }

  /** What becomes of every input while the quota is gone. */
  get ending(): Fetched<T> | undefined {
    return this.#standing()?.ending;
  }

  enter(run: Run<I, T>): void {
    this.#runs.add(run);
    this.calls.enter(run);
  }

  exit(run: Run<I, T>): void {
    this.#runs.delete(run);
    this.calls.exit(run);
  }

  /** All batches on their way. */
  batches(): readonly BatchInTurn<I, T>[] {
    return [...this.#runs].map(({ inTurn }) => inTurn);
  }

  /** The provider said what holds for every call: that it refuses the key, or that the quota is gone, until it comes back. */
  end(error: PipelineError): void {
    const ending = outcomeOf<T>(error, this.#now());
    if (error.code === 'unauthorized') this.key.refuse(error);
    else {
      const forMs = askedMs(error, longestPeriodMs.day) ?? unknownQuotaMs;
      this.#verdict = { error, ending, until: performance.now() + forMs };
    }
    for (const run of [...this.#runs]) run.end(ending);
  }

  health(): ProviderHealth {
    const provider = this.#name;
    const { refusal } = this.key;
    if (refusal !== undefined) {
      return { provider, state: 'refused', error: refusal.error, until: this.#dateIn(refusal.tryInMs) };
    }
    const verdict = this.#standing();
    if (verdict !== undefined) {
      const { error, until } = verdict;
      return { provider, state: 'exhausted', error, until: this.#dateIn(until - performance.now()) };
    }
    // Also when a trial is due, and nobody has asked for anything since.
    if (this.breaker.downMs === 0) return { provider, state: 'up' };
    return { provider, state: 'down', error: this.breaker.error, until: this.#dateIn(this.breaker.trialInMs) };
  }

  #standing(): Verdict<T> | undefined {
    if (this.#verdict !== undefined && this.#verdict.until <= performance.now()) this.#verdict = undefined;
    return this.#verdict;
  }

  #dateIn(ms: number): Date {
    return new Date(this.#now() + ms);
  }
}
