import { PipelineError, ProviderError } from '../model/errors.ts';
import type { MonthlyRange } from '../model/records.ts';
import { monthsBetween } from './monthlyRanges.ts';

/** How many months one request may ask for: fewer from then on, when the answer about one symbol was too long to be read. */
export class MonthsPerCall {
  readonly #least: number;
  #most: number;

  constructor(most: number, least = 1) {
    this.#most = most;
    this.#least = least;
  }

  get most(): number {
    return this.#most;
  }

  /** What `ask` answers; a range that was too long fails in a way that it is asked for again, in halves, and paid as such. */
  async ask<R>(ranges: readonly MonthlyRange[], ask: () => Promise<R>): Promise<R> {
    try {
      return await ask();
    } catch (error) {
      const [range, ...more] = ranges;
      const isTooLong = PipelineError.isInstance(error) && error.code === 'response_too_large';
      if (!isTooLong || range === undefined || more.length > 0) throw error;
      const asked = Math.min(this.#most, monthsBetween(range.startDate, range.endDate).length);
      const half = Math.max(this.#least, Math.ceil(asked / 2));
      if (half >= asked) throw error;
      this.#most = half;
      const message = `${error.message}: asked again for ${half} months at a time`;
      throw new ProviderError('response_too_large', message, { retryable: true, cause: error });
    }
  }
}
