import type { Emitter } from './Emitter.ts';
import { checkCount, checkFunction } from './checks.ts';
import { apart } from './apart.ts';
import { currentEmitters, emitting } from './stack.ts';

/** How long a woken source may take to bring an item before the next waiting one gets a turn as well. */
const patienceMs = 10;

/**
 * The bound of one operator: it counts the items inside, and holds back whoever sends them while it is full.
 *
 * Nobody wires a gate to its sources. While a source or a bounded operator calls `next`, it is a current `Emitter`;
 * `enter` links every current emitter, and a linked emitter waits while the gate is full. `close` unlinks them all.
 * So the bound is `limit` plus one item for each source, whatever stands between the source and the gate, as long as it
 * hands items on at once (map, filter, bufferCount, concatMap of an array, merge, ...).
 *
 * A freed slot wakes one waiting source, the one that has waited longest; its turn passes on when it ends or has to wait
 * elsewhere, and also when it brings nothing for 10 ms, so that a quiet source does not hold up the others.
 *
 * @example
 * ```ts
 * import { Observable, Subject } from 'rxjs';
 * import { Gate, fromPull } from 'fintrack-pipelines';
 *
 * const gate = new Gate(2);
 * fromPull([1, 2, 3, 4]).subscribe((value) => {
 *   gate.enter();
 *   console.log(`holds ${value}`);
 * });
 * // holds 1
 * // holds 2
 * gate.leave();
 * // holds 3
 * gate.close(); // what waits for it goes on
 * // holds 4
 * ```
 */
export class Gate {
  /** How many items may be inside before the gate is full. */
  readonly limit: number;
  /** The emitters in whose `next` this gate was made: it may be a stranger to them, see `#linkCurrentEmitters`. */
  readonly #bornDuring: readonly Emitter[] = currentEmitters();
  readonly #links = new Set<Emitter>();
  readonly #waiting = new Set<Emitter>();
  readonly #onWait: ((emitter: Emitter) => void) | undefined;
  /** Linked emitters that take the gate for open, and have to be told when it fills up. */
  #unaware: Emitter[] = [];
  #inside = 0;
  #closed = false;
  #waking = false;
  #patience: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param limit - items inside before the gate is full: an integer of at least 1, else a `RangeError` or `TypeError`.
   * @param onWait - called each time an emitter starts to wait for this gate. Default: nothing.
   */
  constructor(limit: number, onWait?: (emitter: Emitter) => void) {
    this.limit = checkCount('Gate', 'limit', limit, 1);
    this.#onWait = onWait === undefined ? undefined : checkFunction('Gate', 'onWait', onWait);
  }

  /** True while `limit` items or more are inside. A closed gate is never full. */
  get full(): boolean {
    return this.#inside >= this.limit && !this.#closed;
  }

  /** Counts one item in, and links whoever is emitting it. A full gate takes it as well: emitters wait, items do not. */
  enter(): void {
    if (this.#closed) return;
    this.#inside++;
    this.#linkCurrentEmitters();
    if (this.#inside >= this.limit) this.#tellFull();
  }

  /** Counts one item out, and wakes a waiting source. Throws a `RangeError` when nothing is inside. */
  leave(): void {
    if (this.#closed) return;
    if (this.#inside === 0) throw new RangeError('Gate: leave was called more often than enter');
    this.#inside--;
    this.wake();
  }

  /** Unlinks every emitter and lets go those that wait. A closed gate counts nothing and stays closed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#patience);
    for (const emitter of this.#links) emitter.unlinked(this);
    this.#links.clear();
    this.#unaware = [];
    this.wake();
  }

  /** For emitters: puts one in line; it is woken when there is room. */
  wait(emitter: Emitter): void {
    this.#waiting.add(emitter);
    this.#onWait?.(emitter);
  }

  /** For emitters: asks to be told when the gate fills up. */
  watch(emitter: Emitter): void {
    if (this.#closed) return;
    this.#links.add(emitter);
    if (this.full) emitter.filled(this);
    else this.#unaware.push(emitter);
  }

  /** For emitters: forgets one that ends. */
  unlink(emitter: Emitter): void {
    this.#links.delete(emitter);
    this.#waiting.delete(emitter);
    const at = this.#unaware.indexOf(emitter);
    if (at >= 0) this.#unaware.splice(at, 1);
    if (this.#waiting.size === 0) this.#stopPatience();
  }

  /** For emitters: wakes as many waiting ones as there is room for; also called when a woken one gives up its turn. */
  wake(): void {
    if (this.#waking || this.#waiting.size === 0 || this.full) return;
    this.#waking = true;
    try {
      apart(() => {
        this.#wakeInTurn();
      });
    } finally {
      this.#waking = false;
    }
  }

  #wakeInTurn(): void {
    for (const emitter of this.#waiting) {
      this.#waiting.delete(emitter);
      const turnIsOut = emitter.resume(this);
      if (this.full) return;
      if (turnIsOut && !this.#closed) {
        if (this.#waiting.size > 0) this.#startPatience();
        return;
      }
    }
  }

  #startPatience(): void {
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      this.wake();
    }, patienceMs);
  }

  #stopPatience(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  #linkCurrentEmitters(): void {
    const source = emitting.at(-1);
    for (let at = emitting.length - 1; at >= 0; at--) {
      const emitter = emitting[at];
      if (source == null || emitter == null) return;
      // A pipeline that somebody subscribes inside another pipeline's `next` handler is its own: both its source and
      // its gate were made during that call, so the other pipeline's source never waits for it.
      const stranger = this.#bornDuring.includes(emitter) && source.bornDuring.includes(emitter);
      if (!stranger) emitter.link(this);
    }
  }

  #tellFull(): void {
    const unaware = this.#unaware;
    if (unaware.length === 0) return;
    this.#unaware = [];
    for (const emitter of unaware) emitter.filled(this);
  }
}
