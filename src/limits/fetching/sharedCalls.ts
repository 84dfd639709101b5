import { PipelineError } from '../../model/errors.ts';
import { isRateLimit } from '../retryPolicy.ts';
import type { Entry } from './inputQueue.ts';

/** What a call brought for an entry of somebody who waits for it. */
export interface Answer<I, T> {
  readonly entry: Entry<I>;
  readonly value: T | PipelineError;
}

/** Somebody who waits for calls: a batch on its way. */
export interface Receiver<I, T> {
  /** Takes its entries with these keys out of its queue: they are on their way now, and wait for the call. */
  takeKeys(keys: ReadonlySet<string>): readonly Entry<I>[];
  receive(answers: readonly Answer<I, T>[], call: SharedCall<I, T>): void;
}

/**
 * The calls on their way to one provider. An input on its way is not asked for a second time: whoever wants it too, waits for
 * the same call. A call goes on until the last who waits for it has left.
 */
export class SharedCalls<I, T> {
  readonly #receivers = new Set<Receiver<I, T>>();
  readonly #onTheWay = new Map<string, SharedCall<I, T>>();

  /** From now on the receiver's entries are taken to the calls of others, until it exits. */
  enter(receiver: Receiver<I, T>): void {
    this.#receivers.add(receiver);
  }

  exit(receiver: Receiver<I, T>): void {
    this.#receivers.delete(receiver);
    this.leave(receiver);
  }

  /** Lets the entries that are on their way already wait for their calls; returns the others. */
  join(receiver: Receiver<I, T>, entries: readonly Entry<I>[]): readonly Entry<I>[] {
    return entries.filter((entry) => {
      const call = this.#onTheWay.get(entry.key);
      call?.add(receiver, entry);
      return call === undefined;
    });
  }

  /** A call for entries that are not on their way yet; whoever else has such entries, waits for it as well. */
  start(owner: Receiver<I, T>, entries: readonly Entry<I>[]): SharedCall<I, T> {
    const call = new SharedCall<I, T>((key) => {
      if (this.#onTheWay.get(key) === call) this.#onTheWay.delete(key);
    });
    this.extend(call, owner, entries);
    return call;
  }

  /** Lets a call that is not sent yet ask for more entries that are not on their way, of the same owner or of another. */
  extend(call: SharedCall<I, T>, owner: Receiver<I, T>, entries: readonly Entry<I>[]): void {
    const keys = new Set(entries.map(({ key }) => key));
    call.askFor(entries);
    for (const key of keys) this.#onTheWay.set(key, call);
    for (const entry of entries) call.add(owner, entry);
    for (const receiver of this.#receivers) {
      for (const entry of receiver.takeKeys(keys)) call.add(receiver, entry);
    }
  }

  /** Takes the receiver from all calls: returns its entries in those that go on for others; the rest of its calls is aborted. */
  leave(receiver: Receiver<I, T>): readonly Entry<I>[] {
    const calls = new Set(this.#onTheWay.values());
    return [...calls].flatMap((call) => call.leave(receiver));
  }
}

/** One request to a provider, and everybody who waits for it. */
export class SharedCall<I, T> {
  readonly #entries: Entry<I>[] = [];
  readonly #keys: string[] = [];
  readonly #forget: (key: string) => void;
  readonly #waiting = new Map<Receiver<I, T>, Entry<I>[]>();
  readonly #controller = new AbortController();
  #mayRetry: boolean | undefined;
  /** When its answer arrived, by `performance.now()`. */
  receivedAtMs = 0;

  /** @param forget called with the key of every input that is no longer on its way */
  constructor(forget: (key: string) => void) {
    this.#forget = forget;
  }

  get entries(): readonly Entry<I>[] {
    return this.#entries;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** To be called before it is sent. */
  askFor(entries: readonly Entry<I>[]): void {
    this.#entries.push(...entries);
    // What an entry is narrowed to later is not what this call asks for.
    this.#keys.push(...entries.map(({ key }) => key));
  }

  add(receiver: Receiver<I, T>, entry: Entry<I>): void {
    const entries = this.#waiting.get(receiver);
    if (entries === undefined) this.#waiting.set(receiver, [entry]);
    else entries.push(entry);
  }

  leave(receiver: Receiver<I, T>): readonly Entry<I>[] {
    const entries = this.#waiting.get(receiver);
    if (entries === undefined) return [];
    if (this.#waiting.size > 1) {
      this.#waiting.delete(receiver);
      return entries;
    }
    // Nobody may join a call that is aborted.
    for (const key of this.#keys) this.#forget(key);
    this.#controller.abort();
    return [];
  }

  /**
   * Hands out one value per entry. Refusals for the rate are kept back, because whoever gets one asks again: returns the first
   * of them, for `fail` to hand out once the limiter knows.
   */
  bring(values: readonly (T | PipelineError)[]): PipelineError | undefined {
    this.receivedAtMs = performance.now();
    const byKey = new Map(this.#keys.map((key, position) => [key, values[position] as T | PipelineError]));
    const refusals = [...byKey].filter(([, value]) => isRefusal(value));
    for (const [key] of refusals) byKey.delete(key);
    this.#handOut(byKey);
    return refusals[0]?.[1] as PipelineError | undefined;
  }

  /** Hands out the error to everybody who still waits. */
  fail(error: PipelineError): void {
    this.#handOut(new Map(this.#keys.map((key) => [key, error])));
  }

  /** Whether this failure may be tried again; all who wait for it are one retry. */
  mayRetry(ask: () => boolean): boolean {
    this.#mayRetry ??= ask();
    return this.#mayRetry;
  }

  #handOut(values: ReadonlyMap<string, T | PipelineError>): void {
    for (const key of values.keys()) this.#forget(key);
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (const [receiver, entries] of all) {
      const rest = entries.filter(({ key }) => !values.has(key));
      if (rest.length > 0) this.#waiting.set(receiver, rest);
    }
    for (const [receiver, entries] of all) {
      const answers = entries.flatMap((entry) => answerTo(entry, values));
      if (answers.length > 0) receiver.receive(answers, this);
    }
  }
}

function answerTo<I, T>(entry: Entry<I>, values: ReadonlyMap<string, T | PipelineError>): Answer<I, T>[] {
  return values.has(entry.key) ? [{ entry, value: values.get(entry.key) as T | PipelineError }] : [];
}

function isRefusal(value: unknown): boolean {
  return PipelineError.isInstance(value) && isRateLimit(value);
}
