import type * as FakeTimers from '@sinonjs/fake-timers';
import { OptionsError } from '../model/errors.ts';

/** A process as time knows it: owns the timers that its code sets, and has a wall clock of its own. */
export interface TimeOwner {
  readonly isAlive: boolean;
  readonly isPaused: boolean;
  /** How far its wall clock is off, in milliseconds. */
  readonly clockOffsetMs: number;
  /** What came while it was paused, in order; by its timer, so that what is cleared does not come. */
  readonly deferred: Map<object, () => void>;
}

type Clock = FakeTimers.Clock;
type Timer = ReturnType<Clock['setTimeout']>;

/** The beginning of every run, by the wall clock: far enough from midnight for clocks that jump. */
const startMs = Date.UTC(2026, 0, 1, 12);

/** The real one, for the turns in which promises go on. */
const immediate = setImmediate;

let isInstalled = false;

/**
 * Virtual time for the whole of this JavaScript process: timers, `Date` and `performance` are fake timers, and `Math.random` is
 * the run's; of the stack of an error there is one line. So there is one at a time, and `end` gives everything back.
 *
 * Each step runs one timer and then all promises that go on because of it. So whatever runs in a step belongs to the owner of
 * its timer, and what it sets is the owner's, too.
 */
export class VirtualTime {
  readonly #clock: Clock;
  readonly #restore: () => void;
  readonly #timers = new Map<object, TimeOwner>();
  #current: TimeOwner | undefined;

  private constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#restore = this.#replaceGlobals(random);
  }

  /** Takes over the globals. Throws where somebody else has done so already. */
  static async begin(random: () => number): Promise<VirtualTime> {
    const { withGlobal } = await loadFakeTimers();
    if (isInstalled || 'clock' in setTimeout) {
      throw new OptionsError('simulate: timers are fake already: one simulation at a time, and no other fake timers');
    }
    const clock = withGlobal(globalThis).install({
      now: startMs,
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    });
    isInstalled = true;
    return new VirtualTime(clock, random);
  }

  /** Milliseconds since the beginning. */
  get nowMs(): number {
    return this.#clock.now - startMs;
  }

  /** The wall clock that is right. */
  get dateMs(): number {
    return this.#clock.now;
  }

  /** Timers that processes which are alive have set, and that have not come yet. */
  timersOf(owner: TimeOwner): number {
    return [...this.#timers.values()].filter((each) => each === owner).length;
  }

  /** Runs a task as nobody's, or as the owner's: at once, unless that one is paused or dead. */
  as(owner: TimeOwner | undefined, task: () => void): void {
    if (owner?.isAlive === false) return;
    if (owner?.isPaused === true) {
      owner.deferred.set({}, task);
      return;
    }
    const before = this.#current;
    this.#current = owner;
    try {
      task();
    } finally {
      this.#current = before;
    }
  }

  /** Runs a task after a time, as nobody's or as the owner's; the function returned drops it. */
  after(ms: number, task: () => void, owner?: TimeOwner): () => void {
    const timer: Timer = this.#clock.setTimeout(() => this.#step(owner, timer as object, task), ms);
    return () => this.#clock.clearTimeout(timer);
  }

  /** What was to come while it was paused comes now, one after the other. */
  resume(owner: TimeOwner): void {
    const [first] = owner.deferred;
    if (first === undefined || owner.isPaused || !owner.isAlive) return;
    const [timer, task] = first;
    owner.deferred.delete(timer);
    this.#current = owner;
    task();
    this.after(0, () => this.resume(owner));
  }

  /** Its timers never come. */
  drop(owner: TimeOwner): void {
    owner.deferred.clear();
    for (const [timer, each] of this.#timers) {
      if (each !== owner) continue;
      this.#timers.delete(timer);
      this.#clock.clearTimeout(timer as Timer);
    }
  }

  /** Lets time pass until it is so; false when that took too long, or nothing happens any more. */
  async until(isSo: () => boolean, withinMs: number): Promise<boolean> {
    const endMs = this.#clock.now + withinMs;
    for (;;) {
      await new Promise((resolve) => immediate(resolve));
      this.#current = undefined;
      if (isSo()) return true;
      if (this.#clock.now >= endMs || this.#clock.countTimers() === 0) return false;
      this.#clock.next();
    }
  }

  /** Gives the globals back. */
  end(): void {
    this.#restore();
    this.#clock.reset();
    this.#clock.uninstall();
    isInstalled = false;
  }

  #step(owner: TimeOwner | undefined, timer: object, task: () => void): void {
    if (owner?.isAlive === false) return;
    this.#current = owner;
    if (owner?.isPaused === true) owner.deferred.set(timer, task);
    else task();
  }

  #replaceGlobals(random: () => number): () => void {
    const fake = { setTimeout, clearTimeout, setInterval, clearInterval, Date };
    const { random: realRandom } = Math;
    const { stackTraceLimit } = Error;
    const offsetMs = (): number => this.#current?.clockOffsetMs ?? 0;
    class OwnDate extends fake.Date {
      constructor(...values: readonly unknown[]) {
        super(...((values.length === 0 ? [OwnDate.now()] : values) as [number]));
      }

      static override now(): number {
        return fake.Date.now() + offsetMs();
      }
    }
    Object.assign(globalThis, {
      setTimeout: (task: (...values: unknown[]) => void, ms?: number, ...values: unknown[]) =>
        this.#own((run) => this.#clock.setTimeout(run, ms), task, values, true),
      setInterval: (task: (...values: unknown[]) => void, ms?: number, ...values: unknown[]) =>
        this.#own((run) => this.#clock.setInterval(run, ms), task, values, false),
      clearTimeout: (timer: Timer | undefined) => this.#clear(timer),
      clearInterval: (timer: Timer | undefined) => this.#clear(timer),
      Date: OwnDate,
    });
    Math.random = random;
    // A tenth of the time of a run would be spent on stacks of errors that are expected; where one comes from is enough.
    Error.stackTraceLimit = 1;
    return () => {
      Object.assign(globalThis, fake);
      Math.random = realRandom;
      Error.stackTraceLimit = stackTraceLimit;
    };
  }

  /** A timer that is whoever's runs now. */
  #own(
    set: (run: () => void) => Timer,
    task: (...values: unknown[]) => void,
    values: readonly unknown[],
    isOnce: boolean,
  ): Timer {
    const owner = this.#current;
    const timer = set(() => {
      if (isOnce) this.#timers.delete(timer as object);
      this.#step(owner, timer as object, () => task(...values));
    });
    if (owner !== undefined) this.#timers.set(timer as object, owner);
    return timer;
  }

  #clear(timer: Timer | undefined): void {
    if (timer === undefined) return;
    this.#current?.deferred.delete(timer as object);
    this.#timers.delete(timer as object);
    this.#clock.clearTimeout(timer);
  }
}

async function loadFakeTimers(): Promise<typeof FakeTimers> {
  try {
    return await import('@sinonjs/fake-timers');
  } catch (cause) {
    throw new OptionsError(
      'simulate: needs the package @sinonjs/fake-timers: npm install --save-dev @sinonjs/fake-timers',
      {
        cause,
      },
    );
  }
}
