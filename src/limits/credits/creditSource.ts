import type { QuotaSeen, QuotaWindow } from '../../model/ports.ts';

/** A call without an answer may still arrive at the provider: its credits are held this much longer. */
export const unansweredMs = 5_000;
/** Timers may fire a millisecond early, and clocks round: a credit is kept this much longer than the window. */
export const marginMs = 2;

/** What a call needs. */
export interface CreditNeed {
  readonly credits: number;
  readonly min: number;
  /** The share, from 0 to 1, of all credits that has to stay free. */
  readonly reserve: number;
}

/** How a call ended. */
export interface CallEnd {
  /** Whether the provider is known to have answered it. */
  readonly isAnswered: boolean;
  /** Whether the provider refused it for its rate, and probably did not count it. */
  readonly refused: boolean;
}

/** The credits that one call got. */
export interface SuppliedCredits {
  readonly credits: number;
  /** When the call must have ended, by `performance.now()`. */
  readonly deadlineAtMs?: number | undefined;
  /** Gives back what the call will not use; too late once it has ended. */
  release(unused: number): void;
  /** Learns what the provider said of its quota. */
  report(seen: QuotaSeen, at: number): void;
  /** The call has ended. */
  settle(end: CallEnd, at: number): void;
}

/** What a forecast goes by. */
export interface ForecastBasis {
  readonly at: number;
  readonly roundTripMs: number;
  readonly reserve: number;
}

/**
 * Where credits come from: a window of this process, one that processes share, a quota of days or months. Times are
 * monotonic milliseconds.
 */
export interface CreditSource {
  /** The most that one call can ever get. */
  readonly capacity: number;
  /** The earliest that the need can be met, by what is known; `Infinity` when an answer has to come first. */
  readyAt(need: CreditNeed, at: number): number;
  /** When the need can be met with more than now; now where that is all it wants. Missing where nobody can know. */
  moreAt?(need: CreditNeed, at: number): number;
  /**
   * Takes up to `credits` and at least `min`: at once, or with a promise where somebody else has to be asked. Undefined when
   * that is not possible now. Throws or rejects when waiting would not help.
   */
  take(need: CreditNeed, at: number): SuppliedCredits | undefined | Promise<SuppliedCredits | undefined>;
  /**
   * When that many credits, more than a window holds perhaps, will have been taken at the earliest. `takesMs` tells how long
   * all sources together take for so many.
   */
  forecast(credits: number, basis: ForecastBasis, takesMs: (credits: number) => number): number;
  /** How long that many credits take from a moment when all are free; missing where they are there at once. */
  takesMs?(credits: number, basis: ForecastBasis): number;
  /** The limits that it keeps, for plans. */
  windows(reserve: number, at: number): readonly QuotaWindow[];
  /** Reads anew what others know of it. */
  refresh?(): Promise<void>;
  /** Gives back what is not used, once no call is on its way any more. */
  close?(): Promise<void>;
}

/** The credits that have to stay free, of so many; never so many that the need could not be met at all. */
export function reserved({ min, reserve }: Pick<CreditNeed, 'min' | 'reserve'>, capacity: number): number {
  return reserve === 0 ? 0 : Math.max(0, Math.min(Math.round(capacity * reserve), capacity - min));
}
