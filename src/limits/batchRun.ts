import { PipelineError } from '../model/errors.ts';
import type { FetchCall, Fetched, Grant, Limiter, Provider } from '../model/ports.ts';
import type { AbortListeners } from './abortListeners.ts';
import { askSettle } from './askSettle.ts';
import { callProvider } from './callProvider.ts';
import { mostAtOnce } from './estimate.ts';
import { InputQueue } from './inputQueue.ts';
import type { Entry } from './inputQueue.ts';
import { canceled, outcomeOf, Results } from './results.ts';
import { asProviderError, endsBatch, isRateLimit, isTransient, retryDelayMs } from './retryPolicy.ts';

/** After a shorter wait nobody else can have fetched much, and asking would cost a query. */
const settleAfterMs = 1_000;

export interface BatchRunSettings<I, T> {
  readonly provider: Provider<I, T>;
  readonly limiter: Limiter;
  readonly aborts: AbortListeners;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly random: () => number;
  readonly now: () => number;
}

/** The time from asking for credits to having decided what they are used for, and what came of it. */
interface Turn<I> {
  entries: readonly Entry<I>[];
  isOver: boolean;
}

interface Failure<I> {
  readonly entry: Entry<I>;
  readonly error: PipelineError;
}

/** One work batch on its way through `limited`: what waits, what is being fetched, and what became of the rest. */
export class BatchRun<I, T> {
  readonly #settings: BatchRunSettings<I, T>;
  readonly #call: FetchCall<I, T>;
  readonly #queue: InputQueue<I>;
  readonly #results: Results<T>;
  /** Whether a call of this batch waits at the limiter: never more than one. */
  #isAsking = false;
  /** Ends that call. */
  readonly #asking = new AbortController();
  /** What becomes of everything that would have to be asked for, once nothing more is. */
  #ending: Fetched<T> | undefined;
  #resolve: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(settings: BatchRunSettings<I, T>, inputs: readonly I[], call: FetchCall<I, T>) {
    this.#settings = settings;
    this.#call = call;
    this.#queue = new InputQueue(inputs);
    this.#results = new Results(inputs.length);
  }

  /** To be called once. */
  run(): Promise<readonly Fetched<T>[]> {
    const { signal } = this.#call;
    const results = new Promise<readonly Fetched<T>[]>((resolve, reject) => {
      this.#resolve = () => {
        resolve(this.#results.list());
      };
      this.#reject = reject;
    });
    const forget = this.#settings.aborts.add(signal, () => {
      this.#end(canceled);
    });
    if (signal.aborted) this.#end(canceled);
    this.#proceed();
    return results.finally(forget);
  }

  #proceed(): void {
    if (this.#results.isComplete) this.#resolve();
    const { first } = this.#queue;
    if (first === undefined || this.#isAsking) return;
    this.#isAsking = true;
    this.#askAndCall(first).catch(this.#crash);
  }

  /** Asks for credits and serves what they pay for. */
  async #askAndCall(first: Entry<I>): Promise<void> {
    const { limiter, provider } = this.#settings;
    const turn: Turn<I> = { entries: [], isOver: false };
    try {
      const want = this.#want(first);
      this.#announceWait(want);
      const askedAt = performance.now();
      const serve = (grant: Grant): Promise<void> => this.#serve(turn, grant, performance.now() - askedAt);
      await limiter.run(want, serve, { signal: this.#asking.signal });
    } catch (error) {
      this.#endTurn(turn);
      const failure = asProviderError(provider.name, error);
      if (turn.entries.length > 0) this.#failed(turn.entries, failure);
      else this.#refused(first, failure);
    }
    this.#proceed();
  }

  async #serve(turn: Turn<I>, grant: Grant, waitedMs: number): Promise<void> {
    if (waitedMs >= settleAfterMs && this.#call.settle !== undefined) await this.#settle();
    turn.entries = this.#queue.take(this.#settings.provider.maxBatchSize, grant.credits, (run) => this.#cost(run));
    const credits = turn.entries.length === 0 ? 0 : this.#cost(turn.entries);
    if (credits < grant.credits) grant.release(grant.credits - credits);
    this.#endTurn(turn);
    this.#proceed(); // the next call may ask while this one is on its way
    if (turn.entries.length === 0) return;
    const refused = this.#place(turn.entries, await this.#fetch(turn.entries, credits, grant));
    turn.entries = refused.map(({ entry }) => entry);
    if (refused[0] !== undefined) throw refused[0].error; // pauses the limiter
  }

  #endTurn(turn: Turn<I>): void {
    if (turn.isOver) return;
    turn.isOver = true;
    this.#isAsking = false;
  }

  #want(first: Entry<I>) {
    const { lane, request, batch } = this.#call;
    const credits = this.#cost(this.#queue.waiting(this.#settings.provider.maxBatchSize));
    return { credits, min: this.#cost([first]), lane, request, batch };
  }

  #cost(entries: readonly Entry<I>[]): number {
    return this.#settings.provider.cost(entries.map(({ input }) => input));
  }

  #announceWait({ credits, min }: { readonly credits: number; readonly min: number }): void {
    const { limiter, now } = this.#settings;
    const { lane } = this.#call;
    const until = limiter.forecast(min, lane);
    const most = mostAtOnce(limiter.windows?.(lane) ?? []);
    if (until.getTime() > now()) this.#tell(() => this.#call.onWait?.(until, Math.min(credits, most)));
  }

  /** Takes out what has become fresh while the batch waited, and narrows the rest to what is still missing. */
  async #settle(): Promise<void> {
    const { aborts } = this.#settings;
    const entries = this.#queue.waiting();
    const inputs = entries.map(({ input }) => input);
    const standings = await askSettle(this.#call, inputs, { signal: this.#asking.signal, aborts });
    for (const [position, entry] of entries.entries()) {
      const standing = standings[position];
      if (standing?.status === 'fresh') this.#results.put([entry], { status: 'fresh', value: standing.value });
      else if (standing !== undefined) entry.input = standing.input;
    }
    this.#queue.remove(entries.filter((entry) => this.#results.has(entry)));
  }

  async #fetch(entries: readonly Entry<I>[], credits: number, grant: Grant): Promise<readonly (T | PipelineError)[]> {
    const { provider, aborts, timeoutMs } = this.#settings;
    const { signal } = this.#call;
    const inputs = entries.map(({ input }) => input);
    const call = { provider: provider.name, inputs: inputs.length, credits };
    const startedAt = performance.now();
    let result = 'ok';
    try {
      return await callProvider(provider, inputs, { signal, aborts, timeoutMs, grant });
    } catch (error) {
      result = PipelineError.from(error).code;
      throw error;
    } finally {
      const durationMs = performance.now() - startedAt;
      this.#tell(() => this.#call.onCall?.({ ...call, durationMs, result }));
    }
  }

  /** Puts the values in their places; returns the inputs that the provider refused for its rate. */
  #place(entries: readonly Entry<I>[], values: readonly (T | PipelineError)[]): readonly Failure<I>[] {
    const { name } = this.#settings.provider;
    const receivedAtMs = performance.now();
    const failures: Failure<I>[] = [];
    for (const [position, entry] of entries.entries()) {
      const value = values[position] as T | PipelineError;
      if (PipelineError.isInstance(value)) failures.push({ entry, error: value });
      else this.#results.put([entry], { status: 'ok', value, provider: name, receivedAtMs });
    }
    this.#retryOrFail(failures.filter(({ error }) => !isRateLimit(error)));
    return failures.filter(({ error }) => isRateLimit(error));
  }

  /** A call failed as a whole. */
  #failed(entries: readonly Entry<I>[], error: PipelineError): void {
    if (!isRateLimit(error)) this.#retryOrFail(entries.map((entry) => ({ entry, error })));
    else if (this.#ending !== undefined) this.#results.put(entries, this.#ending);
    else {
      this.#queue.putBack(entries);
      // The call that waits already has to wait longer than was announced.
      if (this.#isAsking) this.#announceWait({ credits: this.#cost(entries), min: 0 });
    }
  }

  /** A call never came about. */
  #refused(first: Entry<I>, error: PipelineError): void {
    if (error.code !== 'options_invalid') this.#end(error.code === 'canceled' ? canceled : { status: 'failed', error });
    else if (this.#ending === undefined) {
      // It alone costs more than a window holds; the others may not.
      this.#queue.remove([first]);
      this.#results.put([first], { status: 'failed', error });
    }
  }

  #retryOrFail(failures: readonly Failure<I>[]): void {
    const { maxRetries, random } = this.#settings;
    const again = failures.filter(({ entry, error }) => isTransient(error) && entry.failures < maxRetries);
    for (const failure of failures) if (!again.includes(failure)) this.#fail(failure);
    const entries = again.map(({ entry }) => entry);
    if (this.#ending !== undefined) this.#results.put(entries, this.#ending);
    else if (again[0] !== undefined) {
      const delayMs = retryDelayMs(again[0].error, again[0].entry.failures, random);
      for (const entry of entries) entry.failures += 1;
      this.#queue.putBackLater(entries, delayMs, () => {
        this.#proceed();
      });
    }
  }

  #fail({ entry, error }: Failure<I>): void {
    const outcome = outcomeOf<T>(error);
    this.#results.put([entry], outcome);
    if (endsBatch(error)) this.#end(outcome);
  }

  /** Nothing more is asked for; calls on their way go on. */
  #end(ending: Fetched<T>): void {
    this.#ending ??= ending;
    this.#results.put(this.#queue.clear(), this.#ending);
    this.#asking.abort();
    this.#proceed();
  }

  /** Calls one of the caller's functions. */
  #tell(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#crash(error);
    }
  }

  /** A bug of the caller's ends the batch. */
  readonly #crash = (error: unknown): void => {
    this.#reject(error);
    this.#end(canceled);
  };
}
