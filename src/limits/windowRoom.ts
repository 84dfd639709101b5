import type { QuotaWindow } from '../model/ports.ts';

/** What sliding windows have left for the next call, when nothing else uses them: a full one begins anew, and so do shorter ones. */
export class WindowRoom {
  /** The longest first. */
  readonly #windows: readonly { readonly credits: number; used: number }[];

  /** @param ahead credits that are used up before the first call */
  constructor(windows: readonly QuotaWindow[], ahead: number) {
    let used = ahead;
    this.#windows = windows
      .filter(({ endsAt }) => endsAt === undefined)
      .toSorted((one, other) => other.windowMs - one.windowMs)
      .map(({ credits }) => {
        used %= credits;
        return { credits, used };
      });
  }

  /** The most credits that the next call can get; `Infinity` without windows. */
  get credits(): number {
    return Math.min(...this.#windows.map(({ credits, used }) => credits - used));
  }

  /** The most that a call could get of new windows. */
  get capacity(): number {
    return Math.min(...this.#windows.map(({ credits }) => credits));
  }

  get isUntouched(): boolean {
    return this.#windows.every(({ used }) => used === 0);
  }

  use(credits: number): void {
    for (const window of this.#windows) window.used += credits;
    if (this.credits <= 0) this.renew();
  }

  /** Waits until the window that has least left is a new one. */
  renew(): void {
    const least = this.credits;
    const first = this.#windows.findIndex(({ credits, used }) => credits - used === least);
    for (const window of this.#windows.slice(first)) window.used = 0;
  }
}
