import { PipelineError, SinkError } from '../../model/errors.ts';
import { untilAborted } from '../untilAborted.ts';
import { Outage } from './Outage.ts';

export interface PatienceSettings {
  /** Who waits, for messages. */
  readonly name: string;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly answerWithinMs: number;
  readonly onWait?: ((error: PipelineError) => void) | undefined;
  readonly onBack?: ((waitedMs: number) => void) | undefined;
  readonly random: () => number;
}

export interface PatientCall {
  /** Ends the call, also while it waits. */
  readonly signal?: AbortSignal | undefined;
  /** Whether its success shows that the database is there. Default: true. */
  readonly isProof?: boolean | undefined;
}

/**
 * Makes calls again for as long as the database is away.
 *
 * Meanwhile one call at a time tries whether it is back, and all others wait for what becomes of it: a server that is
 * starting up meets no crowd. A call without an answer for long begins such a time, too: the server may be frozen.
 */
export class Patience {
  readonly #settings: PatienceSettings;
  #outage: Outage | undefined;
  /** Until then somebody may still be setting up the database: what is missing is waited for. */
  #hasAnswered = false;

  constructor(settings: PatienceSettings) {
    this.#settings = settings;
  }

  get isWaiting(): boolean {
    return this.#outage !== undefined;
  }

  /** The result of `attempt`, or what it fails with for another reason; the signal's reason as soon as it fires. */
  async run<Result>(attempt: () => Promise<Result>, options: PatientCall = {}): Promise<Result> {
    const call = {};
    try {
      for (;;) {
        options.signal?.throwIfAborted();
        await this.#outage?.turn(call, options.signal);
        const tried = await this.#try(call, attempt, options);
        if (tried !== undefined) return tried.result;
      }
    } finally {
      if (this.#outage?.leave(call) === true) this.#end();
    }
  }

  /** Undefined when the database is away. */
  async #try<Result>(
    call: object,
    attempt: () => Promise<Result>,
    { signal, isProof = true }: PatientCall,
  ): Promise<{ readonly result: Result } | undefined> {
    const silence = setTimeout(() => {
      this.#outageFor(this.#silent()).join(call);
    }, this.#settings.answerWithinMs);
    try {
      const result = await untilAborted(attempt(), signal);
      if (isProof) this.#found();
      return { result };
    } catch (error) {
      signal?.throwIfAborted();
      if (!this.#isAway(error)) {
        this.#over();
        throw error;
      }
      this.#outageFor(error).missed(call);
      return undefined;
    } finally {
      clearTimeout(silence);
    }
  }

  #isAway(error: unknown): error is PipelineError {
    if (!PipelineError.isInstance(error)) return false;
    return error.retryable || (error.code === 'database_not_ready' && !this.#hasAnswered);
  }

  /** The one under way, or one that begins with this error. */
  #outageFor(error: PipelineError): Outage {
    if (this.#outage !== undefined) return this.#outage;
    const { minDelayMs, maxDelayMs, random, onWait } = this.#settings;
    this.#outage = new Outage((tries) => Math.min(maxDelayMs, minDelayMs * 2 ** tries) * (0.5 + random() / 2));
    onWait?.(error);
    return this.#outage;
  }

  #silent(): SinkError {
    const { name, answerWithinMs } = this.#settings;
    return new SinkError('database_unavailable', `${name}: no answer from the database within ${answerWithinMs} ms`, {
      retryable: true,
    });
  }

  #found(): void {
    this.#hasAnswered = true;
    this.#over();
  }

  /** The database has answered. */
  #over(): void {
    const outage = this.#outage;
    if (outage === undefined) return;
    this.#end();
    this.#settings.onBack?.(performance.now() - outage.since);
  }

  #end(): void {
    this.#outage?.end();
    this.#outage = undefined;
  }
}
