import { PipelineError } from '../../model/errors.ts';
import type { QuotaWindow } from '../../model/ports.ts';
import type { QuotaStore } from '../../model/quotaPorts.ts';
import { unansweredMs } from '../credits/creditSource.ts';
import type { CallEnd, CreditNeed, CreditSource, ForecastBasis, SuppliedCredits } from '../credits/creditSource.ts';
import { storeTimeoutMs, withinTime } from '../credits/withinTime.ts';
import { periodAt } from './quotaPeriod.ts';
import type { PeriodSpan, QuotaPeriod } from './quotaPeriod.ts';

/** Credits are booked in blocks ahead of their use, so that a crash loses a block at most; small quotas in smaller ones. */
const mostBlock = 20;
const blocksPerQuota = 40;
/** After the store had no more: another process may have given some back. */
const askAgainMs = 60_000;

export interface QuotaCreditsOptions {
  readonly credits: number;
  readonly period: QuotaPeriod;
  readonly store: QuotaStore;
  readonly now: () => number;
}

/**
 * A quota of days or months. Credits are booked in its store before they are used. A call that may have been counted on
 * either side of a period's end is counted on both.
 */
export class QuotaCredits implements CreditSource {
  readonly capacity: number;
  readonly #options: QuotaCreditsOptions;
  readonly #block: number;
  #span: PeriodSpan;
  /** Booked and not used; below zero for what the period before has still to pay. */
  #booked = 0;
  /** What is known to be booked of the period, by everybody. */
  #used = 0;
  #emptyUntil = -Infinity;
  /** What calls that end in a later period cost there. */
  readonly #carried = new Map<string, number>();

  constructor(options: QuotaCreditsOptions) {
    this.capacity = options.credits;
    this.#options = options;
    this.#block = Math.max(1, Math.min(mostBlock, Math.floor(options.credits / blocksPerQuota)));
    this.#span = periodAt(options.period, options.now());
  }

  /** It never waits: when it is used up, a call is told so. */
  readyAt(_need: CreditNeed, at: number): number {
    return at;
  }

  take(need: CreditNeed, at: number): SuppliedCredits | Promise<SuppliedCredits | undefined> {
    this.#enterPeriod();
    const isEnough = this.#booked >= need.credits || (this.#booked >= need.min && this.#isEmpty(at));
    return isEnough ? this.#part(need.credits) : this.#bookAndTake(need);
  }

  forecast(credits: number, { at }: ForecastBasis, takesMs: (credits: number) => number): number {
    this.#enterPeriod();
    const beyond = credits - this.#left();
    if (beyond <= 0) return at;
    const { period, now, credits: limit } = this.#options;
    const later = Math.ceil(beyond / limit);
    const { startsAt } = periodAt(period, now(), later);
    return at + startsAt - now() + takesMs(beyond - (later - 1) * limit);
  }

  windows(): readonly QuotaWindow[] {
    this.#enterPeriod();
    const { startsAt, endsAt } = this.#span;
    const credits = this.#options.credits;
    return [{ credits, windowMs: endsAt - startsAt, left: this.#left(), endsAt: new Date(endsAt) }];
  }

  async refresh(): Promise<void> {
    this.#enterPeriod();
    const { name } = this.#span;
    const { store } = this.#options;
    const used = await this.#ask(async () => store.used?.(name));
    if (used !== undefined && name === this.#span.name) this.#used = used;
  }

  async close(): Promise<void> {
    this.#enterPeriod();
    const booked = this.#booked;
    this.#booked = 0;
    if (booked > 0) await this.#giveBack(this.#span.name, booked);
    else if (booked < 0) await this.#book(this.#span.name, -booked).catch(() => 0);
  }

  release(span: PeriodSpan, unused: number): void {
    if (unused === 0) return;
    if (span.name === this.#span.name) this.#booked += unused;
    else void this.#giveBack(span.name, unused);
  }

  settle(span: PeriodSpan, credits: number, { isAnswered }: CallEnd): void {
    const { period, now } = this.#options;
    const last = periodAt(period, now() + (isAnswered ? 0 : unansweredMs));
    if (last.startsAt <= span.startsAt) return;
    this.#carried.set(last.name, (this.#carried.get(last.name) ?? 0) + credits);
    this.#enterPeriod();
    this.#payCarried();
  }

  /** Books what the call needs and more, as far as the quota has it. */
  async #bookAndTake({ credits, min }: CreditNeed): Promise<SuppliedCredits | undefined> {
    const { name } = this.#span;
    const missing = credits - this.#booked;
    const asked = Math.max(this.#block, missing);
    const got = this.#isEmpty(performance.now()) ? 0 : await this.#book(name, asked);
    if (name !== this.#span.name) {
      void this.#giveBack(name, got);
      return undefined;
    }
    this.#booked += got;
    this.#used = got < asked ? this.#options.credits : this.#used + got;
    if (got < asked && !this.#isEmpty(performance.now())) this.#emptyUntil = performance.now() + askAgainMs;
    if (this.#booked < min) throw this.#exhausted();
    return this.#part(Math.max(0, Math.min(credits, this.#booked)));
  }

  #part(credits: number): SuppliedCredits {
    const taken = Math.min(credits, Math.max(0, this.#booked));
    this.#booked -= taken;
    return new QuotaPart(this, this.#span, taken);
  }

  #left(): number {
    return Math.max(0, this.#options.credits - this.#used + this.#booked);
  }

  #isEmpty(at: number): boolean {
    return at < this.#emptyUntil;
  }

  /** A clock that is set back comes back to a period that the store still knows. */
  #enterPeriod(): void {
    const span = periodAt(this.#options.period, this.#options.now());
    if (span.name === this.#span.name) return;
    if (this.#booked > 0) void this.#giveBack(this.#span.name, this.#booked);
    this.#span = span;
    this.#booked = 0;
    this.#used = 0;
    this.#emptyUntil = -Infinity;
    this.#payCarried();
  }

  #payCarried(): void {
    this.#booked -= this.#carried.get(this.#span.name) ?? 0;
    this.#carried.delete(this.#span.name);
  }

  async #book(name: string, credits: number): Promise<number> {
    const { store, credits: limit } = this.#options;
    const booked = await this.#ask(() => store.book(name, credits, limit));
    if (Number.isSafeInteger(booked) && booked >= 0 && booked <= credits) return booked;
    throw new PipelineError('internal', `creditLimiter: the quota store booked ${booked} of ${credits} credits`);
  }

  /** What cannot be given back counts as used: the safe side. */
  async #giveBack(name: string, credits: number): Promise<void> {
    if (credits > 0) await this.#ask(() => this.#options.store.giveBack(name, credits)).catch(() => undefined);
  }

  async #ask<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await withinTime(storeTimeoutMs, 'creditLimiter: the quota store', async () => ask());
    } catch (error) {
      throw PipelineError.from(error);
    }
  }

  #exhausted(): PipelineError {
    const { credits, period, now } = this.#options;
    const until = new Date(this.#span.endsAt).toISOString();
    const message = `creditLimiter: the quota of ${credits} credits a ${period} is used up until ${until}`;
    return new PipelineError('quota_exhausted', message, { retryAfterMs: Math.max(0, this.#span.endsAt - now()) });
  }
}

class QuotaPart implements SuppliedCredits {
  credits: number;
  readonly #quota: QuotaCredits;
  readonly #span: PeriodSpan;

  constructor(quota: QuotaCredits, span: PeriodSpan, credits: number) {
    this.#quota = quota;
    this.#span = span;
    this.credits = credits;
  }

  release(unused: number): void {
    this.credits -= unused;
    this.#quota.release(this.#span, unused);
  }

  report(): void {
    // What providers report is about their shorter windows.
  }

  settle(end: CallEnd): void {
    this.#quota.settle(this.#span, this.credits, end);
  }
}
