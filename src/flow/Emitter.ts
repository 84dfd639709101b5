import type { Gate } from './Gate.ts';
import { currentEmitters, emitting } from './stack.ts';

/**
 * One side that sends items: a source, or the output of a bounded operator. It keeps the gates that its items reach, and
 * waits while one of them is full.
 *
 * Use one for each subscription: ask `mustWait` before fetching or starting anything, send with `emit`, and `close` it
 * on teardown.
 *
 * @example
 * ```ts
 * import { Observable } from 'rxjs';
 * import { Emitter, mergeMapBounded } from 'fintrack-pipelines';
 *
 * const countdown = new Observable<number>((subscriber) => {
 *   const emitter = new Emitter();
 *   let left = 3;
 *   const run = () => {
 *     while (left > 0 && !subscriber.closed) {
 *       if (emitter.mustWait(run)) return; // run is called again when there is room
 *       emitter.emit(subscriber, left--);
 *     }
 *     subscriber.complete();
 *   };
 *   subscriber.add(() => emitter.close());
 *   run();
 * });
 *
 * countdown.pipe(mergeMapBounded(async (n) => n * 10, { concurrency: 1 })).subscribe((n) => console.log(n));
 * // 30
 * // 20
 * // 10
 * ```
 */
export class Emitter {
  /**
   * True while items may still come from this emitter without its asking: the pending `next()` of an asynchronous
   * source, the running inner Observables of an operator. Set by its owner.
   */
  busy = false;
  /** For gates: the emitters in whose `next` this one was made. */
  bornDuring: readonly Emitter[] = currentEmitters();
  readonly #own: Gate | undefined;
  readonly #gates = new Set<Gate>();
  /** Linked gates that have filled up since they were last seen open: empty, or nearly so, on the hot path. */
  #full: Gate[] = [];
  #waitingFor: Gate | undefined;
  #goOn: (() => void) | undefined;
  /** The gate that woke this emitter and counts on its next item. */
  #turn: Gate | undefined;
  #closed = false;

  /** @param own - the gate of the operator that owns this emitter: it is never linked. Default: none. */
  constructor(own?: Gate) {
    this.#own = own;
  }

  /** Sends `value` to `subscriber`; every gate that the value enters during the call is linked. */
  emit<Value>(subscriber: { next(value: Value): void }, value: Value): void {
    emitting.push(this);
    try {
      subscriber.next(value);
    } finally {
      emitting.pop();
    }
  }

  /**
   * True while a linked gate is full; then `goOn` is called once, when there is room, and asks again.
   *
   * False: send the next item now.
   */
  mustWait(goOn: () => void): boolean {
    return this.#full.length > 0 && this.#waitForFull(goOn);
  }

  /** Unlinks every gate and passes on an unused turn. Nothing is called afterward. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const gate of this.#gates) gate.unlink(this);
    this.#gates.clear();
    this.#full = [];
    this.#waitingFor = undefined;
    this.#goOn = undefined;
    this.bornDuring = []; // a chain of pipelines, each subscribed by the one before, keeps none of them alive
    this.#passTurn();
  }

  /** True when nothing comes from this emitter before a gate has room: it waits with nothing under way, or is closed. */
  get idle(): boolean {
    return this.#closed || (this.#waitingFor !== undefined && !this.busy);
  }

  /** For gates: `gate` has taken an item of this emitter. */
  link(gate: Gate): void {
    if (gate === this.#own || this.#closed || this.#gates.has(gate)) return;
    this.#gates.add(gate);
    gate.watch(this);
  }

  /** For gates: `gate` is closed. */
  unlinked(gate: Gate): void {
    this.#gates.delete(gate);
  }

  /** For gates: `gate` is full. */
  filled(gate: Gate): void {
    this.#full.push(gate);
  }

  /** For gates: there is room. True when the turn is out: an item is on its way. */
  resume(gate: Gate): boolean {
    const goOn = this.#goOn;
    this.#waitingFor = undefined;
    this.#goOn = undefined;
    this.#turn = gate;
    goOn?.();
    if (!this.busy) this.#turn = undefined;
    return this.#turn === gate;
  }

  #waitForFull(goOn: () => void): boolean {
    for (let gate = this.#full.at(-1); gate !== undefined; gate = this.#full.at(-1)) {
      if (gate.full) {
        this.#waitingFor = gate;
        this.#goOn = goOn;
        gate.wait(this);
        this.#passTurn();
        return true;
      }
      this.#full.pop();
      gate.watch(this);
    }
    return false;
  }

  #passTurn(): void {
    const turn = this.#turn;
    this.#turn = undefined;
    turn?.wake();
  }
}
