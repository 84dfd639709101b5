/** Counts what happened of late. */
export class RecentEvents {
  readonly #observedMs: number;
  readonly #times: number[] = [];

  /** @param observedMs how long ago is still of late */
  constructor(observedMs: number) {
    this.#observedMs = observedMs;
  }

  get count(): number {
    this.#forgetOld();
    return this.#times.length;
  }

  add(): void {
    this.#forgetOld();
    this.#times.push(performance.now());
  }

  clear(): void {
    this.#times.length = 0;
  }

  #forgetOld(): void {
    const since = performance.now() - this.#observedMs;
    while ((this.#times[0] ?? Infinity) <= since) this.#times.shift();
  }
}
