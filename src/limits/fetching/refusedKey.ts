import { ProviderError, type PipelineError } from '../../model/errors.ts';
import type { KeyRefusal, KeyRefusals } from '../../model/quotaPorts.ts';
import { pause } from '../../flow/pause.ts';
import { isAnswer, isOutage } from '../retryPolicy.ts';

/** Nobody asks a provider again that refused the key before this is over; after each try that is refused too, twice as long. */
const firstPauseMs = 5 * 60_000;
const longestPauseMs = 60 * 60_000;

/** How old may be what is known of the other processes. */
const knownForMs = 5_000;
/** What a call takes beyond its time limit, at most. */
const afterTimeoutMs = 5_000;
/** So often a call that waits for the try of another process looks how it went. */
const lookAgainMs = 500;

export interface RefusedKeySettings {
  readonly provider: string;
  /** How long a call to the provider may take. */
  readonly timeoutMs: number;
  /** What all processes on the key know. Default: this fetcher knows it for itself. */
  readonly refusals?: KeyRefusals | undefined;
}

/** The one call that tries whether the provider takes the key again. */
export interface KeyTrial {
  /** To be called once it has ended, with its error if it failed. */
  end(error?: PipelineError): void;
}

interface Refusal {
  readonly error: PipelineError;
  readonly pauseMs: number;
  /** From when on the next call is a try, by `performance.now()`. */
  readonly tryAt: number;
}

/**
 * Keeps calls from a provider that has refused the key, but never for good: the first call of the next request after a pause
 * tries again, alone, and the others wait for it. Nothing is sent for that alone.
 */
export class RefusedKey {
  readonly #settings: RefusedKeySettings;
  #refusal: Refusal | undefined;
  #isOnTrial = false;
  /** Whether the processes share what is known here; an empty store says nothing of what never got there. */
  #isShared = false;
  #learnedAt = -Infinity;
  #learning: Promise<boolean> | undefined;
  #writes: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Set<() => void>();

  constructor(settings: RefusedKeySettings) {
    this.#settings = settings;
  }

  /** Why nothing is sent, and for how long nobody tries; undefined while the provider takes the key. */
  get refusal(): { readonly error: PipelineError; readonly tryInMs: number } | undefined {
    if (this.#refusal === undefined) return undefined;
    const { error, tryAt } = this.#refusal;
    return { error, tryInMs: Math.max(0, tryAt - performance.now()) };
  }

  /** What becomes of every call now; undefined when calls may go, or one of them may try. */
  get error(): PipelineError | undefined {
    return this.#isOnTrial || this.isDue ? undefined : this.#refusal?.error;
  }

  get isOnTrial(): boolean {
    return this.#isOnTrial;
  }

  /** Whether the next call tries. */
  get isDue(): boolean {
    return !this.#isOnTrial && this.#refusal !== undefined && this.#refusal.tryAt <= performance.now();
  }

  /** Whether other processes may know more. */
  get mustLearn(): boolean {
    return this.#settings.refusals !== undefined && performance.now() - this.#learnedAt >= knownForMs;
  }

  /** Learns what other processes have found out. Waits for a try of theirs, unless another provider can be asked. */
  async learn(signal: AbortSignal, mayWait: boolean): Promise<void> {
    for (;;) {
      this.#learning ??= this.#read().finally(() => {
        this.#learning = undefined;
      });
      const isTried = await this.#learning;
      if (!isTried || !mayWait || this.#isOnTrial || signal.aborted) return;
      await pause(lookAgainMs, signal).catch(() => undefined);
    }
  }

  /** Lets the call try that comes when it is time; undefined when it goes like any other, or not at all: see `error`. */
  async admit(): Promise<KeyTrial | undefined> {
    if (!this.isDue) return undefined;
    this.#isOnTrial = true;
    if (await this.#claim()) return { end: this.#endTrial };
    this.#isOnTrial = false;
    this.#notify();
    return undefined;
  }

  /** The provider has refused the key. What is on trial decides for itself. */
  refuse(error: PipelineError): void {
    if (this.#isOnTrial || this.error !== undefined) return;
    this.#set(error, this.#refusal?.pauseMs ?? firstPauseMs);
    this.#write((refusals, pauseMs) => refusals.refuse({ message: error.message, pauseMs, isAgain: false }));
  }

  /** Calls `listener` once, when the try has ended; the function returned forgets it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  readonly #endTrial = (error?: PipelineError): void => {
    const { error: before, pauseMs } = this.#refusal ?? { error, pauseMs: firstPauseMs };
    this.#isOnTrial = false;
    if (error?.code === 'unauthorized') {
      this.#set(error, Math.min(2 * pauseMs, longestPauseMs));
      this.#write((refusals, next) => refusals.refuse({ message: error.message, pauseMs: next, isAgain: true }));
    } else if (error === undefined || saysOfKey(error)) {
      this.#refusal = undefined;
      this.#write((refusals) => refusals.lift());
    } else if (before !== undefined) this.#set(before, pauseMs);
    this.#notify();
  };

  /** Whether it is this process that tries; the others may have found out more meanwhile. */
  async #claim(): Promise<boolean> {
    const { refusals, timeoutMs } = this.#settings;
    if (refusals === undefined || !this.#isShared) return true;
    await this.#writes;
    const claim = await this.#ask(() => refusals.claim(timeoutMs + afterTimeoutMs));
    if (claim === undefined) return true;
    this.#know(claim.refusal);
    // Another tries: whoever wants to call looks how that goes.
    if (!claim.isGranted && claim.refusal?.isTried === true) this.#learnedAt = -Infinity;
    return claim.isGranted;
  }

  /** Whether another process tries right now. */
  async #read(): Promise<boolean> {
    const { refusals } = this.#settings;
    if (refusals === undefined) return false;
    await this.#writes;
    const standing = await this.#ask(async () => ({ refusal: await refusals.standing() }));
    this.#learnedAt = performance.now();
    if (standing === undefined || this.#isOnTrial) return false;
    this.#know(standing.refusal);
    return standing.refusal?.isTried === true;
  }

  #know(refusal: KeyRefusal | undefined): void {
    if (refusal !== undefined) {
      const { message, pauseMs, tryInMs } = refusal;
      const error = new ProviderError('unauthorized', message);
      this.#refusal = { error, pauseMs, tryAt: performance.now() + tryInMs };
    } else if (this.#isShared) this.#refusal = undefined;
    this.#isShared = refusal !== undefined;
  }

  /** Who cannot be asked knows nothing: what this process has found out itself holds. */
  async #ask<R>(question: () => Promise<R>): Promise<R | undefined> {
    try {
      return await question();
    } catch {
      return undefined;
    }
  }

  #set(error: PipelineError, pauseMs: number): void {
    this.#refusal = { error, pauseMs, tryAt: performance.now() + pauseMs };
  }

  /** One after the other, because the last that was found out counts. */
  #write(write: (refusals: KeyRefusals, pauseMs: number) => Promise<void>): void {
    const { refusals } = this.#settings;
    if (refusals === undefined) return;
    const pauseMs = this.#refusal?.pauseMs ?? 0;
    const isRefused = this.#refusal !== undefined;
    this.#writes = this.#writes.then(async () => {
      const isWritten = await this.#ask(() => write(refusals, pauseMs).then(() => true));
      this.#isShared = isRefused && isWritten === true;
    });
  }

  #notify(): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}

/** Whether a failed call was one of a key that is taken. */
function saysOfKey(error: PipelineError): boolean {
  return isAnswer(error) && !isOutage(error) && error.code !== 'response_malformed';
}
