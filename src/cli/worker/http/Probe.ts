/** How long an answer stands: whoever asks in between gets the same. */
const cacheMs = 2_000;

export interface ProbeOptions {
  /** A question that costs little; it rejects when what it asks is not there. */
  readonly ask: () => Promise<unknown>;
  /** After how long without an answer it counts as not there, in milliseconds. Default: 2000. */
  readonly timeoutMs?: number | undefined;
}

/** Asks whether something is there, never twice at once, and not more often than answers get old. */
export class Probe {
  readonly #options: ProbeOptions;
  #askedAt = -Infinity;
  #isThere = false;
  #asking: Promise<void> | undefined;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  async isThere(): Promise<boolean> {
    if (performance.now() - this.#askedAt < cacheMs) return this.#isThere;
    const { ask, timeoutMs = 2_000 } = this.#options;
    this.#asking ??= ask()
      .then(
        () => this.#know(true),
        () => this.#know(false),
      )
      .finally(() => (this.#asking = undefined));
    // A question without an answer goes on: another would wait in the same queue.
    return await within(
      this.#asking.then(() => this.#isThere),
      timeoutMs,
    );
  }

  #know(isThere: boolean): void {
    this.#isThere = isThere;
    this.#askedAt = performance.now();
  }
}

function within(answer: Promise<boolean>, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve(false);
    }, timeoutMs);
    void answer.then((isThere) => {
      clearTimeout(timer);
      resolve(isThere);
    });
  });
}
