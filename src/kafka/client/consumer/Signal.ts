/** Something that happens again and again, to be waited for. */
export class Signal {
  readonly #listeners = new Set<() => void>();

  fire(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Starts to wait: `done` resolves the next time it happens, or once the time is over. `cancel` ends the wait. */
  within(timeMs: number): { readonly done: Promise<void>; readonly cancel: () => void } {
    const wait = { done: Promise.resolve(), cancel: (): void => undefined };
    wait.done = new Promise((resolve) => {
      wait.cancel = () => {
        clearTimeout(timer);
        this.#listeners.delete(wait.cancel);
        resolve();
      };
      const timer = setTimeout(() => wait.cancel(), timeMs);
      this.#listeners.add(wait.cancel);
    });
    return wait;
  }
}
