import type { PipelineError } from '../../model/errors.ts';
import { ProviderError } from '../../model/errors.ts';
import { isOutage } from '../retryPolicy.ts';
import { RecentEvents } from './recentEvents.ts';

/** The calls of so long decide, and so many of them at least, of which so large a share failed. */
const observedMs = 30_000;
const leastCalls = 20;
const failedShare = 0.5;

export interface CircuitSettings {
  readonly provider: string;
  /** So many failures in a row open it. */
  readonly failures: number;
  /** How long it stays open before one call tries again. */
  readonly openMs: number;
}

/** A call that was let through. */
export interface AdmittedCall {
  /** To be called once it has ended, with its error if it failed. */
  end(error?: PipelineError): void;
}

/**
 * Keeps calls from a provider that gives no answers. It opens after failures in a row, or when half of many calls failed; after
 * a while one call goes to see whether the provider is back. Only missing answers count: a refusal is an answer.
 */
export class CircuitBreaker {
  readonly #settings: CircuitSettings;
  /** The calls that ended while it was closed, and those of them that failed. */
  readonly #calls = new RecentEvents(observedMs);
  readonly #failures = new RecentEvents(observedMs);
  #failuresInARow = 0;
  /** When it opened first, until it closes. */
  #downSince: number | undefined;
  #trialAt = 0;
  #isOnTrial = false;
  #lastError: PipelineError | undefined;
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: CircuitSettings) {
    this.#settings = settings;
  }

  /** Whether nothing can be sent now. */
  get isDown(): boolean {
    return this.#downSince !== undefined && (this.#isOnTrial || this.trialInMs > 0);
  }

  /** Whether the call is on its way that tries whether the provider is back. */
  get isOnTrial(): boolean {
    return this.#isOnTrial;
  }

  /** While it is closed: the calls without an answer since the last that had one. */
  get failuresInARow(): number {
    return this.#failuresInARow;
  }

  /** How long the provider has been without an answer; 0 while it is up. */
  get downMs(): number {
    return this.#downSince === undefined ? 0 : performance.now() - this.#downSince;
  }

  get trialInMs(): number {
    return this.#downSince === undefined ? 0 : Math.max(0, this.#trialAt - performance.now());
  }

  /** What becomes of inputs that do not wait for the provider. */
  get error(): PipelineError {
    const seconds = Math.round(this.downMs / 1_000);
    const last = this.#lastError?.message ?? 'no answer';
    return new ProviderError('provider_unavailable', `${this.#settings.provider}: down for ${seconds} s: ${last}`, {
      retryable: true,
      retryAfterMs: this.trialInMs,
      cause: this.#lastError,
    });
  }

  /** Lets a call through, or does not. */
  admit(): AdmittedCall | undefined {
    if (this.isDown) return undefined;
    if (this.#downSince === undefined) return { end: this.#count };
    this.#isOnTrial = true;
    return { end: this.#endTrial };
  }

  /** Calls `listener` once, when it may be worth asking again; the function returned forgets it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (!this.#isOnTrial) this.#timer ??= setTimeout(this.#notify, Math.ceil(this.trialInMs));
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#clearTimer();
    };
  }

  readonly #count = (error?: PipelineError): void => {
    if (this.#downSince !== undefined || error?.code === 'canceled') return;
    this.#calls.add();
    if (error === undefined || !isOutage(error)) {
      this.#failuresInARow = 0;
      return;
    }
    this.#failures.add();
    this.#failuresInARow += 1;
    this.#lastError = error;
    if (this.#failuresInARow >= this.#settings.failures || this.#halfFailed()) this.#open();
  };

  readonly #endTrial = (error?: PipelineError): void => {
    this.#isOnTrial = false;
    if (error !== undefined && isOutage(error)) {
      this.#lastError = error;
      this.#trialAt = performance.now() + this.#settings.openMs;
    } else if (error?.code !== 'canceled') this.#close();
    this.#notify();
  };

  #halfFailed(): boolean {
    return this.#calls.count >= leastCalls && this.#failures.count >= failedShare * this.#calls.count;
  }

  #open(): void {
    this.#downSince = performance.now();
    this.#trialAt = this.#downSince + this.#settings.openMs;
    this.#failuresInARow = 0;
    this.#calls.clear();
    this.#failures.clear();
  }

  #close(): void {
    this.#downSince = undefined;
    this.#lastError = undefined;
  }

  readonly #notify = (): void => {
    this.#clearTimer();
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  };

  #clearTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
