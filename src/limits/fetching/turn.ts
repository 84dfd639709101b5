import { PipelineError } from '../../model/errors.ts';
import type { FetchCall, Grant, Limiter, Provider } from '../../model/ports.ts';
import type { AbortListeners } from '../abortListeners.ts';
import { mostAtOnce } from '../estimate.ts';
import { asProviderError } from '../retryPolicy.ts';
import { callProvider } from './callProvider.ts';
import { costOf, fill, settleBefore, whatFits } from './fill.ts';
import type { Entry, InputQueue } from './inputQueue.ts';
import type { ProviderState } from './providerState.ts';
import type { KeyTrial } from './refusedKey.ts';
import type { Results } from './results.ts';
import type { Receiver, SharedCall } from './sharedCalls.ts';

export interface BatchSettings<I, T> {
  readonly provider: Provider<I, T>;
  readonly limiter: Limiter;
  /** What all batches share. */
  readonly state: ProviderState<I, T>;
  readonly aborts: AbortListeners;
  readonly keyOf: (input: I) => string;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly outageMs: number;
  readonly deadlineMs: number;
  readonly random: () => number;
  readonly now: () => number;
}

/** A batch, as its turns see it. */
export interface BatchInTurn<I, T> {
  readonly settings: BatchSettings<I, T>;
  readonly call: FetchCall<I, T>;
  readonly queue: InputQueue<I>;
  readonly results: Results<T>;
  /** Who gets what the call brings. */
  readonly receiver: Receiver<I, T>;
  /** As of when it is known what of it is fresh, by `performance.now()`. */
  knownAt: number;
  /** Whether its inputs have tried a provider that is down: those of the request's other batches try next. */
  goesLast: boolean;
  /** Ends the wait for credits. */
  readonly signal: AbortSignal;
  /** Settles what need not be fetched, and returns the rest. */
  missing(entries: readonly Entry<I>[]): readonly Entry<I>[];
  /** Calls one of the caller's functions. */
  tell(callback: () => void): void;
  /** Goes on, after another batch has seen to some of its inputs. */
  proceed(): void;
  /** What the credits are used for is decided: the next turn may begin, while the call is on its way. */
  onDecided(): void;
}

/** One wait for credits, and the call that they pay for. */
export class Turn<I, T> {
  readonly #batch: BatchInTurn<I, T>;
  #entries: readonly Entry<I>[] = [];
  #call: SharedCall<I, T> | undefined;
  /** Whether it is decided what its credits are used for; it never is when no call comes about. */
  isDecided = false;

  constructor(batch: BatchInTurn<I, T>) {
    this.#batch = batch;
  }

  /** Resolves, once the call has brought what it brings, with the error for which it never came about. */
  async take(): Promise<PipelineError | undefined> {
    const { settings, call, queue, signal, goesLast } = this.#batch;
    try {
      const { lane, request } = call;
      const batch = goesLast ? Infinity : call.batch;
      const min = this.#cost(queue.waiting(1));
      announceWait(this.#batch, { credits: this.#cost(queue.waiting(settings.provider.maxBatchSize)), min });
      this.#batch.knownAt = performance.now();
      const want = { credits: this.#cost(whatFits(this.#batch)), min, lane, request, batch };
      await settings.limiter.run(want, (grant) => this.#serve(grant), { signal });
    } catch (error) {
      return this.#fail(asProviderError(settings.provider.name, error));
    }
    return undefined;
  }

  async #serve(grant: Grant): Promise<void> {
    const { settings, receiver } = this.#batch;
    const { state } = settings;
    await settleBefore(this.#batch, grant.credits);
    const trial = this.#isWanted && state.key.isDue ? await state.key.admit() : undefined;
    const isTaken = trial !== undefined || (state.key.error === undefined && !state.key.isOnTrial);
    this.#entries = isTaken && this.#isWanted ? this.#takeEntries(grant.credits) : [];
    if (this.#entries.length === 0) {
      trial?.end(new PipelineError('canceled', `${settings.provider.name}: nothing was left to ask for`));
      grant.release(grant.credits);
      this.#decide();
      return;
    }
    this.#call = state.calls.start(receiver, this.#entries);
    fill(this.#batch, this.#call, grant.credits);
    const credits = this.#cost(this.#call.entries);
    if (credits < grant.credits) grant.release(grant.credits - credits);
    const answer = this.#send(this.#call, credits, { grant, trial });
    this.#decide();
    const refusal = this.#call.bring(await answer);
    if (refusal !== undefined) throw refusal; // pauses the limiter
  }

  /** Whether there is something to ask for, of a provider that is not down. */
  get #isWanted(): boolean {
    const { settings, queue } = this.#batch;
    return !settings.state.breaker.isDown && queue.first !== undefined;
  }

  #decide(): void {
    this.isDecided = true;
    this.#batch.onDecided();
  }

  #cost(entries: readonly Entry<I>[]): number {
    return costOf(this.#batch.settings.provider, entries);
  }

  #takeEntries(credits: number): readonly Entry<I>[] {
    const { settings, queue } = this.#batch;
    return this.#batch.missing(queue.take(settings.provider.maxBatchSize, credits, (run) => this.#cost(run)));
  }

  async #send(
    call: SharedCall<I, T>,
    credits: number,
    { grant, trial }: { readonly grant: Grant; readonly trial: KeyTrial | undefined },
  ): Promise<readonly (T | PipelineError)[]> {
    const { settings } = this.#batch;
    const { provider, state } = settings;
    const inputs = call.entries.map(({ input }) => input);
    const made = { provider: provider.name, inputs: inputs.length, credits };
    const startedAt = performance.now();
    const admitted = state.breaker.admit();
    state.budget.countRequest();
    let failure: PipelineError | undefined;
    let refusal: PipelineError | undefined;
    try {
      const values = await callProvider(provider, inputs, { ...settings, signal: call.signal, grant });
      refusal = values.find(isKeyRefusal);
      return values;
    } catch (error) {
      failure = PipelineError.from(error);
      throw error;
    } finally {
      admitted?.end(failure);
      trial?.end(failure ?? refusal);
      const durationMs = performance.now() - startedAt;
      this.#batch.tell(() => this.#batch.call.onCall?.({ ...made, durationMs, result: failure?.code ?? 'ok' }));
    }
  }

  #fail(error: PipelineError): PipelineError | undefined {
    if (this.#call !== undefined) this.#call.fail(error);
    else if (this.#entries.length > 0) this.#batch.results.put(this.#entries, { status: 'failed', error });
    else return error;
    return undefined;
  }
}

function isKeyRefusal(value: unknown): value is PipelineError {
  return PipelineError.isInstance(value) && value.code === 'unauthorized';
}

/** Says that the batch waits for credits, if it does. */
export function announceWait<I, T>(
  { settings, call, tell }: Pick<BatchInTurn<I, T>, 'settings' | 'call' | 'tell'>,
  { credits, min }: { readonly credits: number; readonly min: number },
): void {
  const { limiter, now } = settings;
  const until = limiter.forecast(min, call.lane);
  const most = mostAtOnce(limiter.windows?.(call.lane) ?? []);
  if (until.getTime() > now()) tell(() => call.onWait?.(until, Math.min(credits, most)));
}
