/** What each lower lane gets at least while higher ones wait too. */
const share = 1 / 8;

/**
 * Whose turn it is among lanes, 0 being the highest: the highest lane that waits, but for the share of the lower ones. A lower
 * lane that waits is owed an eighth of all credits granted, and goes first while it is owed anything. An idle lane is owed
 * nothing more, so that it saves nothing up.
 */
export class LaneShares {
  readonly #owed: number[];
  readonly #most: number;

  /** @param most the most that a lane can be owed, which bounds what follows when it could not be served for long */
  constructor(lanes: number, most: number) {
    this.#owed = Array.from({ length: lanes }, () => 0);
    this.#most = most;
  }

  /** The lane whose turn it is, of those that wait (in order, the highest first); undefined when none does. */
  next(waiting: readonly number[]): number | undefined {
    const [top, ...lower] = waiting;
    const owed = lower.filter((lane) => this.#owedTo(lane) > 0);
    return owed.length === 0
      ? top
      : owed.reduce((one, other) => (this.#owedTo(other) > this.#owedTo(one) ? other : one));
  }

  /** Notes a grant to `lane`, one of those that waited for it. */
  granted(lane: number, credits: number, waiting: readonly number[]): void {
    const [top, ...lower] = waiting;
    for (const waited of lower) this.#owed[waited] = Math.min(this.#most, this.#owedTo(waited) + credits * share);
    if (lane !== top) this.#owed[lane] = this.#owedTo(lane) - credits;
  }

  #owedTo(lane: number): number {
    return this.#owed[lane] ?? 0;
  }
}
