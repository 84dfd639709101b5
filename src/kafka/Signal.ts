/** Something that happens again and again, to be waited for. */
export class Signal {
  #listeners: (() => void)[] = [];

  fire(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }

  /** Resolves the next time it happens. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#listeners.push(resolve));
  }

  /** Resolves the next time it happens, or once the time is over. */
  within(timeMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeMs);
      this.#listeners.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
