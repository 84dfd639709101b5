import { PipelineError } from '../../model/errors.ts';
import type { QuotaSeen, QuotaWindow } from '../../model/ports.ts';
import type { SharedGrant, SharedWindow } from '../../model/quotaPorts.ts';
import { CreditWindow } from '../creditWindow.ts';
import type { CreditHold } from '../creditWindow.ts';
import { marginMs, reserved, unansweredMs } from './creditSource.ts';
import type { CallEnd, CreditNeed, CreditSource, ForecastBasis, SuppliedCredits } from './creditSource.ts';
import { keptBackMs, usedByAll } from './othersUse.ts';
import { storeTimeoutMs, withinTime } from './withinTime.ts';

/** How long to wait when the window gives no usable answer to that. */
const pollMs = 250;

export interface SharedCreditsOptions {
  readonly window: SharedWindow;
  readonly credits: number;
  readonly windowMs: number;
  /** Calls end within so many milliseconds, counted from before their credits are asked for. */
  readonly callTimeoutMs: number;
}

/**
 * A window of credits that several processes share. Its holds end by themselves, so that a process that dies gives its
 * credits back: one window and 5 s after the last moment at which a call of it can have been on its way.
 */
export class SharedCredits implements CreditSource {
  readonly capacity: number;
  readonly #options: SharedCreditsOptions;
  /** Our own use, for forecasts: what the others use only the window knows. */
  readonly #own: CreditWindow;
  /** What the window refused last, and when to ask again. */
  #refused: { readonly min: number; readonly reserve: number; readonly until: number } | undefined;
  readonly #telling = new Set<Promise<void>>();
  /** Those of them that tell of others: what is asked for after that is to go by it. */
  readonly #reporting = new Set<Promise<void>>();

  constructor(options: SharedCreditsOptions) {
    this.capacity = options.credits;
    this.#options = options;
    this.#own = new CreditWindow(options.credits, options.windowMs);
  }

  readyAt({ min, reserve }: CreditNeed, at: number): number {
    // A call that needs less may be served all the same.
    const isRefused = this.#refused !== undefined && min >= this.#refused.min && reserve >= this.#refused.reserve;
    return isRefused ? Math.max(at, this.#refused?.until ?? at) : at;
  }

  async take(need: CreditNeed, at: number): Promise<SuppliedCredits | undefined> {
    if (need.credits === 0) return new SharedPart(this, { id: '', credits: 0 }, this.#own.take(0, at), Infinity);
    const { callTimeoutMs } = this.#options;
    await Promise.all(this.#reporting);
    const answer = await this.#ask(need);
    const now = performance.now();
    if ('retryInMs' in answer) {
      const { min, reserve } = need;
      const waitMs = Number.isFinite(answer.retryInMs) ? Math.max(1, answer.retryInMs) : pollMs;
      this.#refused = { min, reserve, until: now + waitMs };
      return undefined;
    }
    this.#refused = undefined;
    const taken = new SharedPart(this, answer, this.#own.take(answer.credits, now), at + callTimeoutMs);
    // The hold counts from before the question: too little of it is left for a call.
    if (now - at <= callTimeoutMs / 2) return taken;
    taken.release(taken.credits);
    return undefined;
  }

  forecast(credits: number, { at, roundTripMs, reserve }: ForecastBasis): number {
    const ownAt = this.#own.forecast(credits, at, roundTripMs, reserved({ min: 1, reserve }, this.capacity));
    return Math.max(ownAt, this.readyAt({ credits, min: credits, reserve: 1 }, at));
  }

  takesMs(credits: number, { at, roundTripMs, reserve }: ForecastBasis): number {
    return this.#own.takesMs(credits, at, roundTripMs, reserved({ min: 1, reserve }, this.capacity));
  }

  windows(reserve: number, at: number): readonly QuotaWindow[] {
    const kept = reserved({ min: 1, reserve }, this.capacity);
    const left = Math.max(0, this.#own.free(at) - kept);
    return [{ credits: this.capacity - kept, windowMs: this.#options.windowMs, left }];
  }

  async close(): Promise<void> {
    await Promise.all(this.#telling);
  }

  release(grant: SharedGrant, hold: CreditHold, unused: number): void {
    this.#own.release(hold, unused);
    if (unused > 0) void this.#tell(grant, (window) => window.release(grant, unused));
  }

  /** The window knows the calls of all processes, and with them what others spent; a window that cannot learn does not. */
  report(grant: SharedGrant, hold: CreditHold, seen: QuotaSeen): void {
    const { windowMs } = this.#options;
    const used = usedByAll(seen, { capacity: this.capacity, windowMs });
    // Where this process alone may have used all of it, there is nothing to ask.
    if (used === undefined || used <= this.#own.mostOwn(hold)) return;
    const told = this.#tell(grant, async (window) => window.report?.(grant, used, keptBackMs(windowMs)));
    this.#reporting.add(told);
    void told.then(() => this.#reporting.delete(told));
  }

  settle(grant: SharedGrant, hold: CreditHold, { isAnswered, refused }: CallEnd, at: number): void {
    const extraMs = isAnswered ? 0 : unansweredMs;
    this.#own.settle(hold, at, { extraMs, refused });
    const freeInMs = this.#options.windowMs + marginMs + extraMs;
    if (hold.credits > 0) void this.#tell(grant, (window) => window.settle(grant, freeInMs, refused));
  }

  async #ask(need: CreditNeed): Promise<SharedGrant | { readonly retryInMs: number }> {
    const { window, windowMs, callTimeoutMs } = this.#options;
    const min = Math.max(1, need.min);
    const holdMs = callTimeoutMs + windowMs + marginMs + unansweredMs;
    const want = { credits: need.credits, min, reserve: reserved(need, this.capacity), holdMs };
    try {
      return await withinTime(
        Math.min(storeTimeoutMs, callTimeoutMs),
        'creditLimiter: the shared window',
        async (signal) => window.take({ ...want, signal }),
        (late) => {
          if ('id' in late) void this.#tell(late, () => window.release(late, late.credits));
        },
      );
    } catch (error) {
      throw PipelineError.from(error);
    }
  }

  readonly #tellings = new WeakMap<SharedGrant, Promise<void>>();

  /** Tells the window, in order. When that fails, the credits are held until the hold ends, which is late but safe. */
  #tell(grant: SharedGrant, tell: (window: SharedWindow) => Promise<void>): Promise<void> {
    const told = (this.#tellings.get(grant) ?? Promise.resolve())
      .then(() =>
        withinTime(storeTimeoutMs, 'creditLimiter: the shared window', async () => tell(this.#options.window)),
      )
      .catch(() => undefined)
      .finally(() => this.#telling.delete(told));
    this.#tellings.set(grant, told);
    this.#telling.add(told);
    return told;
  }
}

class SharedPart implements SuppliedCredits {
  readonly deadlineAtMs: number;
  readonly #shared: SharedCredits;
  readonly #grant: SharedGrant;
  readonly #hold: CreditHold;

  constructor(shared: SharedCredits, grant: SharedGrant, hold: CreditHold, deadlineAtMs: number) {
    this.#shared = shared;
    this.#grant = grant;
    this.#hold = hold;
    this.deadlineAtMs = deadlineAtMs;
  }

  get credits(): number {
    return this.#hold.credits;
  }

  release(unused: number): void {
    if (this.#hold.isSettled) return;
    this.#shared.release(this.#grant, this.#hold, unused);
  }

  report(seen: QuotaSeen): void {
    if (this.#hold.isSettled || this.#hold.credits === 0) return;
    this.#shared.report(this.#grant, this.#hold, seen);
  }

  settle(end: CallEnd, at: number): void {
    this.#shared.settle(this.#grant, this.#hold, end, at);
  }
}
