interface Sample {
  readonly value: number;
  readonly until: number;
}

/** The largest of the values that still hold; each holds until a time of its own, and later ones hold longer. */
export class SlidingMaximum {
  /** In order of time, and therefore of falling value: a smaller value before a larger one can never be the maximum. */
  readonly #samples: Sample[] = [];

  add(value: number, until: number): void {
    while ((this.#samples.at(-1)?.value ?? Infinity) <= value) this.#samples.pop();
    this.#samples.push({ value, until });
  }

  /** The maximum at a time that never runs back: what has ended by then is forgotten. */
  value(at: number): number {
    while ((this.#samples[0]?.until ?? Infinity) <= at) this.#samples.shift();
    return this.#samples[0]?.value ?? 0;
  }

  /** What the maximum will be at a later time, by what is known now. */
  peek(at: number): number {
    return this.#samples.find(({ until }) => until > at)?.value ?? 0;
  }

  /** The times at which it will fall. */
  changes(): readonly number[] {
    return this.#samples.map(({ until }) => until);
  }
}
