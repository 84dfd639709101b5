interface Waiting {
  readonly holder: object;
  readonly keys: readonly string[];
  readonly grant: () => void;
  readonly refuse: (error: Error) => void;
}

/** Row locks as a database has them: whoever wants a row that another transaction holds waits for its end. */
export class RowLocks {
  readonly #holders = new Map<string, object>();
  #waiting: Waiting[] = [];

  /** Gets all of the locks, or waits for them in the order of asking; then it is a promise. */
  acquire(holder: object, keys: readonly string[]): Promise<void> | undefined {
    if (this.#take(holder, keys)) return undefined;
    return new Promise((resolve, reject) => this.#waiting.push({ holder, keys, grant: resolve, refuse: reject }));
  }

  /** Whether the transaction is still there. */
  holds(holder: object, [first]: readonly string[]): boolean {
    return first === undefined || this.#holders.get(first) === holder;
  }

  release(holder: object): void {
    for (const [key, each] of this.#holders) if (each === holder) this.#holders.delete(key);
    this.#waiting = this.#waiting.filter(({ holder: each, keys, grant }) => {
      if (!this.#take(each, keys)) return true;
      grant();
      return false;
    });
  }

  /** The server is gone, and with it all transactions. */
  clear(error: Error): void {
    this.#holders.clear();
    for (const { refuse } of this.#waiting.splice(0)) refuse(error);
  }

  #take(holder: object, keys: readonly string[]): boolean {
    if (keys.some((key) => this.#holders.has(key))) return false;
    for (const key of keys) this.#holders.set(key, holder);
    return true;
  }
}
