/** An input of a work batch on its way. */
export interface Entry<I> {
  readonly index: number;
  /** May be narrowed to what is still missing. */
  input: I;
  failures: number;
}

/** The inputs of a work batch that are to be asked for: now, or after a wait between retries. */
export class InputQueue<I> {
  #waiting: Entry<I>[];
  /** By the timer that ends the wait. */
  readonly #backingOff = new Map<NodeJS.Timeout, readonly Entry<I>[]>();

  constructor(inputs: readonly I[]) {
    this.#waiting = inputs.map((input, index) => ({ index, input, failures: 0 }));
  }

  get first(): Entry<I> | undefined {
    return this.#waiting[0];
  }

  waiting(most = Infinity): readonly Entry<I>[] {
    return this.#waiting.slice(0, most);
  }

  putBack(entries: readonly Entry<I>[]): void {
    this.#waiting = [...entries, ...this.#waiting];
  }

  /** Puts the entries back after `delayMs`, and says so. */
  putBackLater(entries: readonly Entry<I>[], delayMs: number, onBack: () => void): void {
    const timer = setTimeout(() => {
      this.#backingOff.delete(timer);
      this.putBack(entries);
      onBack();
    }, delayMs);
    this.#backingOff.set(timer, entries);
  }

  remove(entries: Iterable<Entry<I>>): void {
    const removed = new Set(entries);
    this.#waiting = this.#waiting.filter((entry) => !removed.has(entry));
  }

  /** Takes out everything, and leaves no timer behind. */
  clear(): readonly Entry<I>[] {
    const entries = [...this.#waiting, ...[...this.#backingOff.values()].flat()];
    for (const timer of this.#backingOff.keys()) clearTimeout(timer);
    this.#backingOff.clear();
    this.#waiting = [];
    return entries;
  }

  /** Takes out the longest run of entries, at most `most`, that costs no more than `credits`. */
  take(most: number, credits: number, cost: (entries: readonly Entry<I>[]) => number): readonly Entry<I>[] {
    let fits = 0;
    let limit = Math.min(most, this.#waiting.length);
    while (fits < limit) {
      const middle = Math.ceil((fits + limit) / 2);
      if (cost(this.waiting(middle)) <= credits) fits = middle;
      else limit = middle - 1;
    }
    return this.#waiting.splice(0, fits);
  }
}
