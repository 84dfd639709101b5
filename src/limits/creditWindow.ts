import { OptionsError } from '../model/errors.ts';
import type { QuotaSeen } from '../model/ports.ts';
import { marginMs } from './credits/creditSource.ts';
import { keptBackMs, usedByAll } from './credits/othersUse.ts';
import { SlidingMaximum } from './slidingMaximum.ts';

/** The credits of one call, from its grant until they are free again. */
export interface CreditHold {
  credits: number;
  isSettled: boolean;
  /** How many credits had been granted in all, this call's included. */
  grantedSoFar: number;
  /** The most the provider may have counted as ours when this call was sent. */
  ownAtGrant: number;
}

interface FreeingCredits {
  readonly freeAt: number;
  readonly credits: number;
  readonly refused: boolean;
}

/**
 * The arithmetic of a sliding window of credits; it knows no timers and is told the time (`at`, monotonic milliseconds).
 *
 * A provider counts a request somewhere between its sending and its response. A credit that is free again one window
 * after the RESPONSE is therefore never counted together with its next use, whatever the latency.
 */
export class CreditWindow {
  readonly capacity: number;
  /** Of the provider's window. */
  readonly #givenMs: number;
  /** How long a credit is gone once its call has ended. */
  readonly #windowMs: number;
  /** Held by calls without an answer yet. */
  #inFlight = 0;
  /** Answered and not free yet, by the time they become free. */
  readonly #freeing: FreeingCredits[] = [];
  #freeingTotal = 0;
  /** The part of them that the provider refused, and probably did not count. */
  #refusedTotal = 0;
  #granted = 0;
  /** What others spent with our key, by what the provider says. */
  readonly #others = new SlidingMaximum();

  constructor(capacity: number, windowMs: number) {
    this.capacity = capacity;
    this.#givenMs = windowMs;
    this.#windowMs = windowMs + marginMs;
  }

  /** How many credits can be taken now. */
  free(at: number): number {
    this.#expire(at);
    return Math.max(0, this.capacity - this.#own() - this.#others.value(at));
  }

  take(credits: number, at: number): CreditHold {
    this.#expire(at);
    this.#inFlight += credits;
    this.#granted += credits;
    return { credits, isSettled: false, grantedSoFar: this.#granted, ownAtGrant: this.#own() - this.#refusedTotal };
  }

  /** Gives back what the call will not use; too late once it has ended. */
  release(hold: CreditHold, unused: number): void {
    if (!Number.isSafeInteger(unused) || unused < 0 || unused > hold.credits) {
      throw new OptionsError(`Grant.release: expected 0 to ${String(hold.credits)} credits, got ${String(unused)}`);
    }
    if (hold.isSettled) return;
    this.#inFlight -= unused;
    this.#granted -= unused;
    hold.credits -= unused;
    hold.grantedSoFar -= unused;
    hold.ownAtGrant -= unused;
  }

  /** The call has ended; its credits are free again one window and `extraMs` later. */
  settle(hold: CreditHold, at: number, { extraMs = 0, refused = false } = {}): void {
    const { credits } = hold;
    hold.isSettled = true;
    this.#inFlight -= credits;
    if (credits === 0) return;
    const freeAt = at + this.#windowMs + extraMs;
    let index = this.#freeing.length;
    while (index > 0 && (this.#freeing[index - 1]?.freeAt ?? 0) > freeAt) index -= 1;
    this.#freeing.splice(index, 0, { freeAt, credits, refused });
    this.#freeingTotal += credits;
    if (!refused) return;
    this.#refusedTotal += credits;
    this.#granted -= credits;
  }

  /**
   * Learns from the provider's own numbers. What it counted beyond the most that can be ours was spent by others, and as
   * much is kept back, because the others are likely to spend it again.
   */
  report(hold: CreditHold, seen: QuotaSeen, at: number): void {
    const { capacity } = this;
    const others = (usedByAll(seen, { capacity, windowMs: this.#givenMs }) ?? 0) - this.mostOwn(hold);
    if (others > 0) this.#others.add(Math.min(others, capacity), at + keptBackMs(this.#givenMs));
  }

  /** The most that the provider may count as ours when it answers the call: what we sent since is included. */
  mostOwn(hold: CreditHold): number {
    return hold.ownAtGrant + this.#granted - hold.grantedSoFar;
  }

  /**
   * When `credits` (at most the capacity) will be free, if nothing else is granted meanwhile. Credits of calls in flight
   * count as free from `answersFreeAt` on.
   */
  freeAt(credits: number, at: number, answersFreeAt = Infinity): number {
    if (this.free(at) >= credits) return at;
    let own = this.#own();
    const steps = [...this.#freeing, { freeAt: answersFreeAt, credits: this.#inFlight }];
    const changes = [...steps, ...this.#others.changes().map((freeAt) => ({ freeAt, credits: 0 }))];
    for (const change of changes.sort((a, b) => a.freeAt - b.freeAt)) {
      own -= change.credits;
      if (this.capacity - own - this.#others.peek(change.freeAt) >= credits) return change.freeAt;
    }
    return Infinity;
  }

  /** When more credits are free than now: now, when those are enough already; `Infinity` when nothing is known to come. */
  moreAt(credits: number, at: number): number {
    return this.free(at) >= credits ? at : (this.#freeing[0]?.freeAt ?? Infinity);
  }

  /**
   * When that many credits, more than a window holds perhaps, will have been granted at the earliest, if `reserve` credits
   * have to stay free.
   */
  forecast(credits: number, at: number, roundTripMs: number, reserve = 0): number {
    const perRound = this.#perRound(at, reserve);
    const rounds = Math.floor(Math.max(0, credits - 1) / perRound);
    const rest = rounds === 0 ? credits : credits - rounds * perRound;
    const roundMs = roundTripMs + this.#windowMs;
    return this.freeAt(rest + reserve, at, at + roundMs) + rounds * roundMs;
  }

  /** How long that many credits take from a moment when nothing of ours is in the window. */
  takesMs(credits: number, at: number, roundTripMs: number, reserve = 0): number {
    return Math.floor(Math.max(0, credits - 1) / this.#perRound(at, reserve)) * (roundTripMs + this.#windowMs);
  }

  #perRound(at: number, reserve: number): number {
    return Math.max(1, this.capacity - reserve - this.#others.value(at));
  }

  #own(): number {
    return this.#inFlight + this.#freeingTotal;
  }

  #expire(at: number): void {
    let expired = 0;
    for (const { freeAt, credits, refused } of this.#freeing) {
      if (freeAt > at) break;
      this.#freeingTotal -= credits;
      if (refused) this.#refusedTotal -= credits;
      expired += 1;
    }
    if (expired > 0) this.#freeing.splice(0, expired);
  }
}
