import { Observable, from, type ObservableInput, type OperatorFunction, type Subscriber } from 'rxjs';
import { Emitter } from './Emitter.ts';
import { Fifo } from './Fifo.ts';
import { FlowError } from './FlowError.ts';
import { Gate } from './Gate.ts';
import { checkCount, checkFunction, checkOptions } from './checks.ts';
import { OpenGroups } from './openGroups.ts';
import { relay } from './relay.ts';
import { apart } from './apart.ts';

export interface MergeMapBoundedOptions {
  /** How many inner Observables run at a time: an integer of at least 1. */
  concurrency: number;
  /**
   * How many items may wait for their turn, so that the next one is at hand when an inner Observable ends: an integer
   * of at least 0. Default: the value of `concurrency`.
   */
  prefetch?: number | undefined;
}

/**
 * `mergeMap` with a bound: sources made by `fromPull` and `fromPages` wait while `concurrency + prefetch` items are
 * inside.
 *
 * Results are emitted as they come. Queued work is not started while a bounded operator further down is full.
 * Completes when the source and every inner Observable have completed. An error of the source, of `project` or of an
 * inner Observable is passed on at once, and the rest is unsubscribed. Unsubscribing unsubscribes the source and every
 * inner Observable, and drops what is queued.
 *
 * A source that is not pulled (a Subject, `from`, an event emitter) cannot wait: its items queue up without bound.
 * Groups and windows as items stall as soon as open ones occupy every place, and end in a `FlowError`.
 * Wrong options throw a `RangeError` or a `TypeError`.
 *
 * @example
 * ```ts
 * import { fromPull, mergeMapBounded } from 'fintrack-pipelines';
 *
 * fromPull(['AAPL', 'MSFT', 'IBM'])
 *   .pipe(mergeMapBounded(async (symbol) => symbol.toLowerCase(), { concurrency: 1 }))
 *   .subscribe((symbol) => console.log(symbol));
 * // aapl
 * // msft
 * // ibm
 * ```
 */
export function mergeMapBounded<Value, Result>(
  project: (value: Value, index: number) => ObservableInput<Result>,
  options: MergeMapBoundedOptions,
): OperatorFunction<Value, Result> {
  checkFunction('mergeMapBounded', 'project', project);
  checkOptions('mergeMapBounded', options, ['concurrency', 'prefetch']);
  const concurrency = checkCount('mergeMapBounded', 'concurrency', options.concurrency, 1);
  const prefetch = checkCount('mergeMapBounded', 'prefetch', options.prefetch ?? concurrency, 0);
  return (source) =>
    new Observable<Result>((subscriber) => {
      new BoundedMerge(subscriber, project, concurrency, prefetch).start(source);
    });
}

/** One subscription of `mergeMapBounded`. */
class BoundedMerge<Value, Result> {
  readonly #subscriber: Subscriber<Result>;
  readonly #project: (value: Value, index: number) => ObservableInput<Result>;
  readonly #concurrency: number;
  readonly #gate: Gate;
  readonly #emitter: Emitter;
  readonly #queue = new Fifo<Value>();
  readonly #groups = new OpenGroups();
  #index = 0;
  #running = 0;
  #sourceEnded = false;
  #starting = false;
  #over = false;

  constructor(
    subscriber: Subscriber<Result>,
    project: (value: Value, index: number) => ObservableInput<Result>,
    concurrency: number,
    prefetch: number,
  ) {
    this.#subscriber = subscriber;
    this.#project = project;
    this.#concurrency = concurrency;
    this.#gate = new Gate(concurrency + prefetch, (waiting) => {
      this.#failIfStalled(waiting);
    });
    this.#emitter = new Emitter(this.#gate);
  }

  start(source: Observable<Value>): void {
    relay(source, this.#subscriber, {
      next: (value) => {
        this.#take(value);
      },
      error: this.#fail,
      complete: () => {
        this.#sourceEnded = true;
        this.#completeIfDone();
      },
    });
    // Added after the source: it is unsubscribed first, so that closing the gate does not wake it for nobody.
    this.#subscriber.add(() => {
      this.#end();
    });
  }

  #take(value: Value): void {
    this.#gate.enter();
    this.#queue.push(value);
    this.#startQueued();
  }

  /** Not reentrant: an inner Observable that ends inside `#startInner` is noticed by the loop that started it. */
  readonly #startQueued = (): void => {
    if (this.#starting) return;
    this.#starting = true;
    while (this.#running < this.#concurrency && this.#queue.size > 0 && !this.#over) {
      if (this.#emitter.mustWait(this.#startQueued)) break;
      this.#startInner(this.#queue.shift());
    }
    this.#starting = false;
  };

  #startInner(value: Value): void {
    this.#setRunning(this.#running + 1);
    let inner: Observable<Result>;
    try {
      inner = apart(() => from(this.#project(value, this.#index++)));
    } catch (error) {
      this.#fail(error);
      return;
    }
    const watching = this.#groups.watch(value, inner);
    this.#subscriber.add(watching);
    relay(inner, this.#subscriber, {
      next: (result) => {
        this.#emitter.emit(this.#subscriber, result);
      },
      error: this.#fail,
      complete: () => {
        watching?.unsubscribe();
        this.#innerEnded();
      },
    });
  }

  #innerEnded(): void {
    this.#setRunning(this.#running - 1);
    this.#startQueued();
    this.#gate.leave();
    this.#completeIfDone();
  }

  #setRunning(running: number): void {
    this.#running = running;
    this.#emitter.busy = running > 0;
  }

  #completeIfDone(): void {
    if (this.#sourceEnded && this.#running === 0 && this.#queue.size === 0) this.#subscriber.complete();
  }

  #failIfStalled(waiting: Emitter): void {
    if (this.#running < this.#concurrency || !this.#groups.stalled(this.#running, waiting)) return;
    this.#fail(
      new FlowError(
        'flow_stalled',
        `mergeMapBounded: stalled: each of the ${String(this.#running)} running inner Observables is a group or window that ` +
          'is still open, and the source that feeds them waits for one of them to end. Give the groups to plain mergeMap ' +
          'and use mergeMapBounded inside each, or make concurrency greater than the number of open groups.',
      ),
    );
  }

  readonly #fail = (error: unknown): void => {
    this.#over = true;
    this.#subscriber.error(error);
  };

  #end(): void {
    this.#over = true;
    this.#queue.clear();
    this.#groups.clear();
    this.#emitter.close();
    this.#gate.close();
  }
}
