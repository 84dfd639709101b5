/** An input of a work batch on its way. */
export interface Entry<I> {
  /** Its places in the batch: equal inputs are one entry. */
  readonly indexes: readonly number[];
  /** May be narrowed to what is still missing. */
  input: I;
  /** What it is to the provider; follows the input. */
  key: string;
  failures: number;
  /** Most inputs of a call with it: the answer about more was too long. */
  most?: number;
}

/** The inputs of a work batch that are to be asked for: now, or after a wait between retries. */
export class InputQueue<I> {
  #waiting: Entry<I>[];
  #isCut = false;
  /** By the timer that ends the wait. */
  readonly #backingOff = new Map<NodeJS.Timeout, Entry<I>[]>();

  constructor(inputs: readonly I[], keyOf: (input: I) => string = jsonKey) {
    const byKey = new Map<string, { readonly input: I; readonly indexes: number[] }>();
    for (const [index, input] of inputs.entries()) {
      const key = keyOf(input);
      const known = byKey.get(key);
      if (known === undefined) byKey.set(key, { input, indexes: [index] });
      else known.indexes.push(index);
    }
    this.#waiting = [...byKey].map(([key, { input, indexes }]) => ({ indexes, input, key, failures: 0 }));
  }

  /** Whether a call has taken a part of what waited, and left a rest. */
  get isCut(): boolean {
    return this.#isCut;
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

  putBehind(entries: readonly Entry<I>[]): void {
    this.#waiting = [...this.#waiting, ...entries];
  }

  /** Keeps the entries for `delayMs`, and hands them out then; those taken out meanwhile are not among them. */
  backOff(entries: readonly Entry<I>[], delayMs: number, onOver: (entries: readonly Entry<I>[]) => void): void {
    const timer = setTimeout(() => {
      const rest = this.#backingOff.get(timer) ?? [];
      this.#backingOff.delete(timer);
      onOver(rest);
    }, delayMs);
    this.#backingOff.set(timer, [...entries]);
  }

  remove(entries: Iterable<Entry<I>>): void {
    const removed = new Set(entries);
    this.#waiting = this.#waiting.filter((entry) => !removed.has(entry));
  }

  /** Takes out the entries with these keys, also those that wait between retries. */
  takeKeys(keys: ReadonlySet<string>): readonly Entry<I>[] {
    const taken = this.#all().filter(({ key }) => keys.has(key));
    if (taken.length === 0) return taken;
    this.#waiting = this.#waiting.filter(({ key }) => !keys.has(key));
    for (const [timer, entries] of this.#backingOff) {
      const rest = entries.filter(({ key }) => !keys.has(key));
      this.#backingOff.set(timer, rest);
      if (rest.length > 0) continue;
      clearTimeout(timer);
      this.#backingOff.delete(timer);
    }
    return taken;
  }

  /** Takes out everything, and leaves no timer behind. */
  clear(): readonly Entry<I>[] {
    const entries = this.#all();
    for (const timer of this.#backingOff.keys()) clearTimeout(timer);
    this.#backingOff.clear();
    this.#waiting = [];
    return entries;
  }

  /** Takes out the longest run of entries, at most `most`, that costs no more than `credits`. */
  take(most: number, credits: number, cost: (entries: readonly Entry<I>[]) => number): readonly Entry<I>[] {
    let fits = 0;
    let limit = this.#mostOf(Math.min(most, this.#waiting.length));
    while (fits < limit) {
      const middle = Math.ceil((fits + limit) / 2);
      if (cost(this.waiting(middle)) <= credits) fits = middle;
      else limit = middle - 1;
    }
    if (fits > 0 && fits < this.#waiting.length) this.#isCut = true;
    return this.#waiting.splice(0, fits);
  }

  /** How many of the first entries may go together. */
  #mostOf(most: number): number {
    let limit = most;
    for (let index = 0; index < limit; index += 1) {
      limit = Math.min(limit, Math.max(index, this.#waiting[index]?.most ?? limit));
    }
    return limit;
  }

  #all(): readonly Entry<I>[] {
    return [...this.#waiting, ...[...this.#backingOff.values()].flat()];
  }
}

/** What an input holds, as text. */
export function jsonKey(input: unknown): string {
  // Nothing is the text of `undefined` and of functions.
  const text = JSON.stringify(input) as string | undefined;
  return text ?? String(input);
}
