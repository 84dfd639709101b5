import { untilAborted } from '../untilAborted.ts';

/** The time in which the database is away: who waits for it, and whose turn it is to try. */
export class Outage {
  readonly since = performance.now();
  readonly #delayMs: (tries: number) => number;
  /** The calls that it concerns. */
  readonly #calls = new Set<object>();
  /** Each lets a call go on, in the order of their coming. */
  readonly #queue = new Map<object, () => void>();
  #trial: object | undefined;
  #tries = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `delayMs` is the pause after so many tries. */
  constructor(delayMs: (tries: number) => number) {
    this.#delayMs = delayMs;
    this.#pause();
  }

  join(call: object): void {
    this.#calls.add(call);
  }

  /** Whether that was the last call. */
  leave(call: object): boolean {
    this.#calls.delete(call);
    // It ended without telling anything of the database: the next one may try at once.
    if (this.#trial === call) this.#next();
    return this.#calls.size === 0;
  }

  /** Waits until the call is to try, or the outage is over. */
  async turn(call: object, signal: AbortSignal | undefined): Promise<void> {
    this.join(call);
    const turn = new Promise<void>((resolve) => this.#queue.set(call, resolve));
    if (this.#timer === undefined && this.#trial === undefined) this.#next();
    try {
      await untilAborted(turn, signal);
    } finally {
      this.#queue.delete(call);
    }
  }

  /** The call has found the database away still. */
  missed(call: object): void {
    this.join(call);
    if (this.#trial !== call) return;
    this.#trial = undefined;
    this.#tries += 1;
    this.#pause();
  }

  /** Lets all calls go on. */
  end(): void {
    clearTimeout(this.#timer);
    for (const goOn of this.#queue.values()) goOn();
    this.#queue.clear();
  }

  #pause(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#next();
    }, this.#delayMs(this.#tries));
  }

  #next(): void {
    const [first] = this.#queue;
    this.#trial = first?.[0];
    if (first === undefined) return;
    const [call, goOn] = first;
    this.#queue.delete(call);
    goOn();
  }
}
