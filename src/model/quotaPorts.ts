/** Credits taken from a shared window. */
export interface SharedGrant {
  readonly id: string;
  readonly credits: number;
}

/**
 * One API key's window of credits, shared by several processes, such as a table in PostgreSQL. Its clock is the store's own,
 * so all times that cross this port are durations in milliseconds.
 */
export interface SharedWindow {
  /**
   * Takes at most `credits` and at least `min`, leaving `reserve` untouched, and holds them for `holdMs` even if this process
   * dies; or takes nothing and says when to ask again.
   */
  take(want: {
    readonly credits: number;
    readonly min: number;
    readonly reserve: number;
    readonly holdMs: number;
    readonly signal: AbortSignal;
  }): Promise<SharedGrant | { readonly retryInMs: number }>;
  /** Gives back what a call does not use, before it is sent. */
  release(grant: SharedGrant, unused: number): Promise<void>;
  /**
   * The call has ended: its credits are free again after `freeInMs`. Those of a call that was `refused` for its rate do not
   * count as sent by the processes when `report` tells them from others.
   */
  settle(grant: SharedGrant, freeInMs: number, refused?: boolean): Promise<void>;
  /**
   * Told before the call is settled: by what the provider answered it, `used` credits of its window are used by everybody on
   * the key. What goes beyond the most that the processes on this window can have sent was spent by others: as many credits
   * are held back from all processes for `holdMs`, the most that was seen in that time. Without it others are not learned of.
   */
  report?(grant: SharedGrant, used: number, holdMs: number): Promise<void>;
}

/** Counts a day's or a month's credits, and survives a crash: a row in PostgreSQL, or a JSON file. */
export interface QuotaStore {
  /**
   * Books up to `credits` more of the period (`2026-11-24`, `2026-11`), never beyond `limit` in all, and answers how many
   * were booked. What is booked counts as used, whatever happens to the process.
   */
  book(period: string, credits: number, limit: number): Promise<number>;
  /** Gives back booked credits that were not used. */
  giveBack(period: string, credits: number): Promise<void>;
  /** How many credits of the period are booked, for plans. Without it a plan knows only of what its own process booked. */
  used?(period: string): Promise<number>;
}

/** That a provider refused an API key, for all processes on it. Durations are in milliseconds: the clock is the store's own. */
export interface KeyRefusal {
  /** The provider's words, without secrets. */
  readonly message: string;
  /** How long after a refusal nobody asks. */
  readonly pauseMs: number;
  /** In how long the next call may try; 0 when it may. */
  readonly tryInMs: number;
  /** Whether one of the processes tries right now. */
  readonly isTried: boolean;
}

/** What the processes on one API key know of its refusal, such as a row in PostgreSQL. */
export interface KeyRefusals {
  /** The refusal in force; undefined when there is none. */
  standing(): Promise<KeyRefusal | undefined>;
  /** The key was refused: nobody asks for `pauseMs`. One that is in force stays as it is, unless a try was refused (`isAgain`). */
  refuse(refusal: { readonly message: string; readonly pauseMs: number; readonly isAgain: boolean }): Promise<void>;
  /**
   * Asks to be the one that tries, for at most `holdMs`: granted to one process when the pause is over, and not again before
   * another pause, whatever becomes of that process. Answers what is in force from then on.
   */
  claim(holdMs: number): Promise<{ readonly isGranted: boolean; readonly refusal: KeyRefusal | undefined }>;
  /** The provider takes the key. */
  lift(): Promise<void>;
}
