import { PipelineError, SinkError } from '../../model/errors.ts';
import { hasNoAnswer, isConflict, stateOf } from '../errors.ts';
import { pause } from '../inTransaction.ts';
import { untilAborted } from '../untilAborted.ts';
import { Outage } from './Outage.ts';

/**
 * Why calls wait. `away`: the database gives no answers, or takes no writes. `busy`: it answers, but a statement is slow, or
 * others hold what it needs. `not-ready`: somebody has to see to the deployment.
 */
type WaitReason = 'away' | 'busy' | 'not-ready';

export interface PatienceSettings {
  /** Who waits, for messages. */
  readonly name: string;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly answerWithinMs: number;
  /** Rejects when the database gives no answers or takes no writes. */
  readonly probe?: (() => Promise<void>) | undefined;
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

/** What became of a try. */
type Tried<Result> = { readonly result: Result } | { readonly isShared: boolean; readonly reason: WaitReason };

/** The longest pause while somebody has to see to the deployment, in milliseconds. */
const notReadyDelayMs = 60_000;
/** Nobody gets into the database: all calls fail alike. */
const loginStates = /^(28|3D)/;

/**
 * Makes calls again for as long as the database is away, is busy, or lacks something.
 *
 * While it is away, one call at a time tries whether it is back, and all others wait for what becomes of it: a server that is
 * starting up meets no crowd. A call without an answer for long begins such a time, too, unless a probe is answered: the server
 * may be frozen. Where only a table is missing or only a statement is slow, each call waits by itself.
 */
export class Patience {
  readonly #settings: PatienceSettings;
  #outage: Outage | undefined;
  /** Calls that wait by themselves. */
  readonly #apart = new Set<object>();
  /** What was told since the waiting began, so that it is told once. */
  readonly #told = new Set<WaitReason>();
  /** When a waiting began whose end was not told yet: those who waited may have been called off. */
  #since: number | undefined;
  /** Until then somebody may still be setting up the database: what is missing may be there soon. */
  #hasAnswered = false;

  constructor(settings: PatienceSettings) {
    this.#settings = settings;
  }

  get isWaiting(): boolean {
    return this.#outage !== undefined || this.#apart.size > 0;
  }

  /** The result of `attempt`, or what it fails with for another reason; the signal's reason as soon as it fires. */
  async run<Result>(attempt: () => Promise<Result>, options: PatientCall = {}): Promise<Result> {
    const call = {};
    try {
      for (let pauses = 0; ; pauses += 1) {
        options.signal?.throwIfAborted();
        await this.#outage?.turn(call, options.signal);
        const tried = await this.#try(call, attempt, options);
        if ('result' in tried) return tried.result;
        if (!tried.isShared) await pause(this.#delayMs(pauses, tried.reason), options.signal);
      }
    } finally {
      this.#apart.delete(call);
      if (this.#outage?.leave(call) === true) this.#endOutage();
      if (!this.isWaiting) this.#told.clear();
    }
  }

  async #try<Result>(
    call: object,
    attempt: () => Promise<Result>,
    { signal, isProof = true }: PatientCall,
  ): Promise<Tried<Result>> {
    const endWatch = this.#watch(call);
    try {
      const result = await untilAborted(attempt(), signal);
      this.#apart.delete(call);
      if (isProof) this.#found();
      return { result };
    } catch (error) {
      signal?.throwIfAborted();
      const reason = await untilAborted(this.#reasonOf(error), signal);
      signal?.throwIfAborted();
      if (reason === undefined) {
        this.#apart.delete(call);
        this.#over();
        throw error;
      }
      return { reason, isShared: this.#wait(call, error as PipelineError, reason) };
    } finally {
      endWatch();
    }
  }

  /** Why a call that failed is to be made again; undefined when it is not. */
  async #reasonOf(error: unknown): Promise<WaitReason | undefined> {
    if (!PipelineError.isInstance(error)) return undefined;
    if (error.code === 'database_not_ready') return 'not-ready';
    if (isConflict(error)) return 'busy';
    const { retryable, code } = error;
    const { probe, answerWithinMs } = this.#settings;
    if (retryable && !hasNoAnswer(error)) return 'away';
    if (!retryable && (code !== 'database_error' || probe === undefined)) return undefined;
    const { isAnswered } = await this.#askProbe(answerWithinMs);
    if (!isAnswered) return 'away';
    return retryable ? 'busy' : undefined;
  }

  /** Answers whether the call waits together with all others, and for its turn. */
  #wait(call: object, error: PipelineError, reason: WaitReason): boolean {
    const isShared =
      reason === 'away' || (reason === 'not-ready' && (!this.#hasAnswered || loginStates.test(stateOf(error))));
    if (isShared) {
      this.#apart.delete(call);
      this.#outageFor(error, reason).missed(call);
    } else {
      this.#apart.add(call);
      this.#tell(error, reason);
      // The database has answered.
      this.#over();
    }
    return isShared;
  }

  /** Looks after a call without an answer; the function returned ends that. */
  #watch(call: object): () => void {
    const { answerWithinMs, name } = this.#settings;
    let timer: NodeJS.Timeout;
    let isOver = false;
    const look = (): void => {
      const half = answerWithinMs / 2;
      timer = setTimeout(() => {
        const probing = this.#askProbe(answerWithinMs - half);
        timer = setTimeout(() => {
          void probing.then(({ isAnswered, error }) => {
            if (isOver) return;
            if (isAnswered) this.#wait(call, slow(name, answerWithinMs), 'busy');
            else this.#outageFor(silent(name, answerWithinMs, error), 'away').join(call);
            look();
          });
        }, answerWithinMs - half);
      }, half);
    };
    look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }

  /** Whether the probe is answered in time, and what it fails with otherwise, unless that is no answer. */
  async #askProbe(withinMs: number): Promise<{ readonly isAnswered: boolean; readonly error?: unknown }> {
    const { probe } = this.#settings;
    if (probe === undefined) return { isAnswered: false };
    const controller = new AbortController();
    const timer = setTimeout(() => {
      controller.abort();
    }, withinMs);
    try {
      await untilAborted(probe(), controller.signal);
      return { isAnswered: true };
    } catch (error) {
      if (controller.signal.aborted) return { isAnswered: false };
      // Others hold our table: it answers.
      return { isAnswered: isConflict(error), error };
    } finally {
      clearTimeout(timer);
    }
  }

  /** The one under way, or one that begins with this error. */
  #outageFor(error: PipelineError, reason: WaitReason): Outage {
    this.#outage ??= new Outage((tries) => this.#delayMs(tries, reason));
    this.#tell(error, reason);
    return this.#outage;
  }

  #delayMs(tries: number, reason: WaitReason): number {
    const { minDelayMs, maxDelayMs, random } = this.#settings;
    const longestMs = reason === 'not-ready' && this.#hasAnswered ? notReadyDelayMs : maxDelayMs;
    return Math.min(longestMs, minDelayMs * 2 ** tries) * (0.5 + random() / 2);
  }

  #tell(error: PipelineError, reason: WaitReason): void {
    if (this.#told.has(reason)) return;
    this.#told.add(reason);
    this.#since ??= performance.now();
    this.#settings.onWait?.(named(error, reason));
  }

  #found(): void {
    this.#hasAnswered = true;
    this.#over();
  }

  /** The database has answered. */
  #over(): void {
    this.#endOutage();
    if (this.isWaiting || this.#since === undefined) return;
    const waitedMs = performance.now() - this.#since;
    this.#since = undefined;
    this.#told.clear();
    this.#settings.onBack?.(waitedMs);
  }

  #endOutage(): void {
    this.#outage?.end();
    this.#outage = undefined;
  }
}

function silent(name: string, answerWithinMs: number, ofProbe: unknown): SinkError {
  const reason = PipelineError.isInstance(ofProbe) ? `; a probe fails: ${ofProbe.message}` : '';
  const message = `${name}: no answer from the database within ${answerWithinMs} ms${reason}`;
  return new SinkError('database_unavailable', message, { retryable: true, cause: ofProbe });
}

/** The error under the code that says why it is waited for. */
function named(error: PipelineError, reason: WaitReason): PipelineError {
  if (reason === 'not-ready' || (reason === 'away' && error.retryable)) return error;
  const code = reason === 'busy' ? 'database_busy' : 'database_unavailable';
  return new SinkError(code, error.message, { retryable: true, cause: error });
}

function slow(name: string, answerWithinMs: number): SinkError {
  const message = `${name}: a statement has had no answer within ${answerWithinMs} ms, while the database answers others: it is slow, or waits for a lock`;
  return new SinkError('database_unavailable', message, { retryable: true });
}
