import { RecentEvents } from './recentEvents.ts';

const observedMs = 60_000;
/** So many retries a minute are allowed whatever the number of requests. */
const always = 5;

/**
 * Keeps retries from multiplying the load on a provider that is in trouble: in any minute no more than a share of the requests,
 * and 5.
 */
export class RetryBudget {
  readonly #share: number;
  readonly #requests = new RecentEvents(observedMs);
  readonly #retries = new RecentEvents(observedMs);

  /** @param share of the requests of the last minute, from 0 */
  constructor(share: number) {
    this.#share = share;
  }

  countRequest(): void {
    this.#requests.add();
  }

  /** Whether there may be one more retry, which is counted then. */
  take(): boolean {
    const isAllowed = this.#retries.count < this.#share * this.#requests.count + always;
    if (isAllowed) this.#retries.add();
    return isAllowed;
  }
}
