/** What providers count by. */
export type QuotaPeriod = 'day' | 'month';

/** One day or month, in UTC. */
export interface PeriodSpan {
  /** `2026-11-24` or `2026-11`. */
  readonly name: string;
  readonly startsAt: number;
  /** When the next one begins. */
  readonly endsAt: number;
}

/** The longest that a period lasts, in milliseconds. */
export const longestPeriodMs = { day: 86_400_000, month: 31 * 86_400_000 } as const;

/** The day or month in which `now` falls, or one of those after it. */
export function periodAt(period: QuotaPeriod, now: number, later = 0): PeriodSpan {
  const date = new Date(now);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  const start = (ahead: number): number =>
    period === 'day' ? Date.UTC(year, month, day + ahead) : Date.UTC(year, month + ahead);
  const startsAt = start(later);
  const name = new Date(startsAt).toISOString().slice(0, period === 'day' ? 10 : 7);
  return { name, startsAt, endsAt: start(later + 1) };
}
