import type { QuotaSeen, QuotaWindow } from '../../model/ports.ts';
import { CreditWindow } from '../creditWindow.ts';
import type { CreditHold } from '../creditWindow.ts';
import { reserved, unansweredMs } from './creditSource.ts';
import type { CallEnd, CreditNeed, CreditSource, ForecastBasis, SuppliedCredits } from './creditSource.ts';

export interface OwnWindowOptions {
  readonly credits: number;
  readonly windowMs: number;
  /** Whether what the provider reports is about this window. */
  readonly learns: boolean;
  /** Begin as if all credits had just been used, by calls without an answer. */
  readonly startsUsed: boolean;
}

/** A window of credits that this process alone uses. */
export class OwnWindow implements CreditSource {
  readonly capacity: number;
  readonly #windowMs: number;
  readonly #window: CreditWindow;
  readonly #learns: boolean;

  constructor({ credits, windowMs, learns, startsUsed }: OwnWindowOptions) {
    this.capacity = credits;
    this.#windowMs = windowMs;
    this.#window = new CreditWindow(credits, windowMs);
    this.#learns = learns;
    if (!startsUsed || credits === Infinity) return;
    const at = performance.now();
    this.#window.settle(this.#window.take(credits, at), at, { extraMs: unansweredMs });
  }

  readyAt(need: CreditNeed, at: number): number {
    return this.#window.freeAt(need.min + reserved(need, this.capacity), at);
  }

  moreAt(need: CreditNeed, at: number): number {
    return this.#window.moreAt(Math.min(need.credits + reserved(need, this.capacity), this.capacity), at);
  }

  take(need: CreditNeed, at: number): SuppliedCredits | undefined {
    const credits = Math.min(need.credits, this.#window.free(at) - reserved(need, this.capacity));
    return credits < need.min ? undefined : new OwnCredits(this.#window, this.#window.take(credits, at), this.#learns);
  }

  forecast(credits: number, { at, roundTripMs, reserve }: ForecastBasis): number {
    return this.#window.forecast(credits, at, roundTripMs, reserved({ min: 1, reserve }, this.capacity));
  }

  takesMs(credits: number, { at, roundTripMs, reserve }: ForecastBasis): number {
    return this.#window.takesMs(credits, at, roundTripMs, reserved({ min: 1, reserve }, this.capacity));
  }

  windows(reserve: number, at: number): readonly QuotaWindow[] {
    if (this.capacity === Infinity) return [];
    const kept = reserved({ min: 1, reserve }, this.capacity);
    const left = Math.max(0, this.#window.free(at) - kept);
    return [{ credits: this.capacity - kept, windowMs: this.#windowMs, left }];
  }
}

class OwnCredits implements SuppliedCredits {
  readonly #window: CreditWindow;
  readonly #hold: CreditHold;
  readonly #learns: boolean;

  constructor(window: CreditWindow, hold: CreditHold, learns: boolean) {
    this.#window = window;
    this.#hold = hold;
    this.#learns = learns;
  }

  get credits(): number {
    return this.#hold.credits;
  }

  release(unused: number): void {
    this.#window.release(this.#hold, unused);
  }

  report(seen: QuotaSeen, at: number): void {
    if (this.#learns) this.#window.report(this.#hold, seen, at);
  }

  settle({ isAnswered, refused }: CallEnd, at: number): void {
    this.#window.settle(this.#hold, at, { extraMs: isAnswered ? 0 : unansweredMs, refused });
  }
}
