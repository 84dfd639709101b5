import { PipelineError } from '../../model/errors.ts';
import type { FetchCall, Fetched } from '../../model/ports.ts';
import { endsBatch, isRateLimit, retryDelayMs } from '../retryPolicy.ts';
import { startDeadline } from './deadline.ts';
import { DeadTally } from './deadSymbols.ts';
import { costOf } from './fill.ts';
import { InputQueue } from './inputQueue.ts';
import type { Entry } from './inputQueue.ts';
import type { Run } from './providerState.ts';
import { canceled, late, outcomeOf, Results } from './results.ts';
import type { Answer, SharedCall } from './sharedCalls.ts';
import { toRetry } from './toRetry.ts';
import type { Failure } from './toRetry.ts';
import { announceWait, Turn } from './turn.ts';
import type { BatchInTurn, BatchSettings } from './turn.ts';

/** One work batch on its way through `limited`: what waits, what is being fetched, and what became of the rest. */
export class BatchRun<I, T> implements Run<I, T> {
  readonly #settings: BatchSettings<I, T>;
  /** As its turns, and those of other batches, see it. */
  readonly inTurn: BatchInTurn<I, T>;
  readonly #call: FetchCall<I, T>;
  readonly #queue: InputQueue<I>;
  readonly #results: Results<T>;
  readonly #tally = new DeadTally();
  /** Whether a call of this batch waits at the limiter: never more than one. */
  #isAsking = false;
  /** Ends that call. */
  readonly #asking = new AbortController();
  /** Ends the wait for a provider that is down, or on trial. */
  #forgetProvider: (() => void) | undefined;
  /** What becomes of everything that would have to be asked for, once nothing more is. */
  #ending: Fetched<T> | undefined;
  #resolve: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(settings: BatchSettings<I, T>, inputs: readonly I[], call: FetchCall<I, T>) {
    this.#settings = settings;
    this.#call = call;
    this.#queue = new InputQueue(inputs, settings.keyOf);
    this.#results = new Results(inputs.length);
    this.inTurn = {
      settings,
      call,
      queue: this.#queue,
      results: this.#results,
      receiver: this,
      knownAt: 0,
      goesLast: false,
      signal: this.#asking.signal,
      missing: (entries) => this.#missing(entries),
      tell: (callback) => {
        this.#tell(callback);
      },
      proceed: () => {
        this.#proceed();
      },
      onDecided: () => {
        this.#isAsking = false;
        this.#proceed();
      },
    };
  }

  /** To be called once. */
  run(): Promise<readonly Fetched<T>[]> {
    const { aborts, state, deadlineMs } = this.#settings;
    const { signal } = this.#call;
    const results = new Promise<readonly Fetched<T>[]>((resolve, reject) => {
      this.#resolve = () => {
        resolve(this.#results.list());
      };
      this.#reject = reject;
    });
    state.enter(this);
    const cancel = (): void => {
      this.#leave(canceled);
    };
    const forgetSignal = aborts.add(signal, cancel);
    if (signal.aborted) cancel();
    if (state.ending !== undefined) this.end(state.ending);
    const forgetDeadline = startDeadline(Math.min(deadlineMs, this.#call.deadlineMs ?? Infinity), () => {
      this.#leave(late);
    });
    this.#putBack(this.#queue.clear());
    this.#proceed();
    return results.finally(() => {
      forgetSignal();
      forgetDeadline();
      this.#forgetProvider?.();
      this.#asking.abort();
      state.exit(this);
      state.dead.remember(this.#tally.dead);
    });
  }

  takeKeys(keys: ReadonlySet<string>): readonly Entry<I>[] {
    return this.#queue.takeKeys(keys);
  }

  /** Puts what a call brought in its places, and asks again for what has to be asked for again. */
  receive(answers: readonly Answer<I, T>[], call: SharedCall<I, T>): void {
    const { provider } = this.#settings;
    const failures: Failure<I>[] = [];
    for (const { entry, value } of answers) {
      this.#tally.add(entry.key, value);
      if (PipelineError.isInstance(value)) failures.push({ entry, error: value });
      else
        this.#results.put([entry], { status: 'ok', value, provider: provider.name, receivedAtMs: call.receivedAtMs });
    }
    const refused = failures.filter(({ error }) => isRateLimit(error)).map(({ entry }) => entry);
    this.#putBack(refused);
    const tooLong = failures.filter(({ error }) => error.code === 'response_too_large' && call.entries.length > 1);
    for (const { entry } of tooLong) entry.most = Math.ceil(call.entries.length / 2);
    this.#putBack(tooLong.map(({ entry }) => entry));
    // The call that waits already has to wait longer than was announced.
    if (refused.length > 0 && this.#isAsking) announceWait(this.inTurn, { credits: costOf(provider, refused), min: 0 });
    this.#retryOrFail(
      failures.filter((failure) => !isRateLimit(failure.error) && !tooLong.includes(failure)),
      call,
    );
    this.#proceed();
  }

  /** Nothing more is asked for; calls on their way go on. */
  end(ending: Fetched<T>): void {
    this.#ending ??= ending;
    this.#results.put(this.#queue.clear(), this.#ending);
    this.#asking.abort();
    this.#proceed();
  }

  /** Nothing more is waited for: calls on their way go on only where others wait for them. */
  #leave(ending: Fetched<T>): void {
    this.#ending = ending;
    this.end(ending);
    this.#results.put(this.#settings.state.calls.leave(this), ending);
    this.#proceed();
  }

  #proceed(): void {
    if (this.#results.isComplete) this.#resolve();
    const { first } = this.#queue;
    if (first === undefined || this.#isAsking) return;
    const { breaker, key } = this.#settings.state;
    if (key.mustLearn) this.#learn().catch(this.#crash);
    else if (key.error !== undefined) this.end({ status: 'failed', error: key.error });
    else if (key.isOnTrial) this.#awaitTrial();
    else if (breaker.isDown) this.#awaitProvider();
    else this.#ask(first).catch(this.#crash);
  }

  /** Learns what other processes know of the key. */
  async #learn(): Promise<void> {
    this.#isAsking = true;
    await this.#settings.state.key.learn(this.#asking.signal, this.#call.failFast !== true);
    this.#isAsking = false;
    this.#proceed();
  }

  /** Asks for credits, and for what they pay for. */
  async #ask(first: Entry<I>): Promise<void> {
    this.#isAsking = true;
    const turn = new Turn(this.inTurn);
    const refusal = await turn.take();
    if (!turn.isDecided) this.#isAsking = false;
    if (refusal !== undefined) this.#refused(first, refusal);
    this.#proceed();
  }

  /** Settles what is known to be dead, and lets what is on its way for others wait for them; returns the rest. */
  #missing(entries: readonly Entry<I>[]): readonly Entry<I>[] {
    const { dead, calls } = this.#settings.state;
    const alive = entries.filter((entry) => {
      const error = dead.errorOf(entry.key);
      if (error !== undefined) this.#results.put([entry], { status: 'failed', error });
      return error === undefined;
    });
    return calls.join(this, alive);
  }

  /** Waits for the call that tries whether the provider takes the key; not when another provider can be asked. */
  #awaitTrial(): void {
    const { key } = this.#settings.state;
    if (this.#call.failFast === true && key.refusal !== undefined) {
      this.end({ status: 'failed', error: key.refusal.error });
    } else if (this.#forgetProvider === undefined) {
      this.#forgetProvider = key.onChange(() => {
        this.#forgetProvider = undefined;
        this.#proceed();
      });
    }
  }

  /** Waits until the provider may be back; not when another can be asked, and not for ever. */
  #awaitProvider(): void {
    const { outageMs, now, state } = this.#settings;
    const { breaker } = state;
    if (this.#call.failFast === true || (!breaker.isOnTrial && breaker.downMs >= outageMs)) {
      this.#results.put(this.#queue.clear(), { status: 'failed', error: breaker.error });
      this.#proceed();
    } else if (this.#forgetProvider === undefined) {
      this.#forgetProvider = breaker.onChange(() => {
        this.#forgetProvider = undefined;
        this.#proceed();
      });
      const until = new Date(now() + breaker.trialInMs);
      this.#tell(() => this.#call.onWait?.(until));
    }
  }

  /** A call never came about. */
  #refused(first: Entry<I>, error: PipelineError): void {
    if (error.code !== 'options_invalid') this.end(outcomeOf(error, this.#settings.now()));
    else if (this.#ending === undefined) {
      // It alone costs more than a window holds; the others may not.
      this.#queue.remove([first]);
      this.#results.put([first], { status: 'failed', error });
    }
  }

  #retryOrFail(failures: readonly Failure<I>[], call: SharedCall<I, T>): void {
    const { random, state } = this.#settings;
    const again = toRetry(failures, call, this.#settings, this.#call);
    for (const failure of failures) if (!again.includes(failure)) this.#fail(failure);
    const entries = again.map(({ entry }) => entry);
    this.inTurn.goesLast = state.breaker.isDown && again.length > 0;
    if (this.#ending !== undefined) this.#results.put(entries, this.#ending);
    else if (state.breaker.isDown) this.#queue.putBehind(this.#missing(entries));
    else if (again[0] !== undefined) {
      const delayMs = retryDelayMs(again[0].error, again[0].entry.failures, random);
      for (const entry of entries) entry.failures += 1;
      this.#queue.backOff(entries, delayMs, (rest) => {
        this.#putBack(rest);
        this.#proceed();
      });
    }
  }

  #fail({ entry, error }: Failure<I>): void {
    const isCanceled = error.code === 'canceled';
    const outcome = outcomeOf<T>(error, this.#settings.now());
    this.#results.put([entry], isCanceled ? (this.#ending ?? outcome) : outcome);
    if (isCanceled) this.end(outcome);
    else if (endsBatch(error)) this.#settings.state.end(error);
  }

  #putBack(entries: readonly Entry<I>[]): void {
    if (this.#ending !== undefined) this.#results.put(entries, this.#ending);
    else this.#queue.putBack(this.#missing(entries));
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
    this.#leave(canceled);
  };
}
