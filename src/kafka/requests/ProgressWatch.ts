import type { Observable, Subscription } from 'rxjs';
import type { RunEvent } from '../../model/runEvents.ts';

export interface ProgressWatchOptions {
  /** After how long without progress a delivery is stuck, in milliseconds. */
  readonly deadlineMs: number;
  /** Tells of progress. Missing: nothing is ever stuck. */
  readonly progress?: Observable<RunEvent> | undefined;
  /** Whether nothing can go on for a reason that is not the delivery's, such as a database that is away. */
  readonly standsStill: () => boolean;
  /** The clock of `waiting` events, in epoch milliseconds. */
  readonly now: () => number;
}

/** What is watched. */
export interface Watched {
  /** The ledger key: events that name it are progress. */
  readonly request: string;
  /** The batches of a part: events of others are not its progress. Missing: all of the request's are. */
  readonly batches?: { readonly first: number; readonly count: number } | undefined;
  /** Called once it is stuck; it is not watched any more then. Missing: it only waits for others, however long that takes. */
  readonly onStuck?: (() => void) | undefined;
}

interface Clock {
  readonly watched: Watched;
  /** How long it could have gone on, and did not. */
  idleMs: number;
  /** Until when each of its batches waits for credits, in epoch milliseconds. */
  readonly waits: Map<number, number>;
  /** Whether it was heard of: what was not may still wait for its turn. */
  isAtWork: boolean;
}

/**
 * Notices what makes no progress. It is no heartbeat: a call that hangs is not hidden by it, and what waits for credits, for
 * the database, or for its turn, is not taken for one.
 */
export class ProgressWatch {
  readonly #options: ProgressWatchOptions;
  readonly #clocks = new Set<Clock>();
  readonly #tickMs: number;
  #subscription: Subscription | undefined;
  #timer: NodeJS.Timeout | undefined;
  #tickedAt = 0;

  constructor(options: ProgressWatchOptions) {
    this.#options = options;
    this.#tickMs = Math.min(1_000, Math.max(1, options.deadlineMs / 20));
  }

  /** Watches until the function returned is called. */
  watch(watched: Watched): () => void {
    if (this.#options.progress === undefined) return () => undefined;
    this.#subscription ??= this.#options.progress.subscribe((event) => this.#hear(event));
    const clock = { watched, idleMs: 0, waits: new Map<number, number>(), isAtWork: watched.onStuck === undefined };
    this.#clocks.add(clock);
    if (this.#timer === undefined) this.#start();
    return () => this.#forget(clock);
  }

  /** Watches nothing any more. */
  close(): void {
    this.#clocks.clear();
    this.#stop();
    this.#subscription?.unsubscribe();
  }

  #forget(clock: Clock): void {
    this.#clocks.delete(clock);
    if (this.#clocks.size === 0) this.#stop();
  }

  #start(): void {
    this.#tickedAt = performance.now();
    this.#timer = setInterval(() => this.#tick(), this.#tickMs);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #hear(event: RunEvent): void {
    if (!isProgress(event)) return;
    for (const clock of this.#clocks) {
      if (!concerns(event, clock.watched)) continue;
      clock.isAtWork = true;
      clock.idleMs = 0;
      if (event.type === 'waiting') clock.waits.set(event.batch, event.until.getTime());
      else if ('batch' in event) clock.waits.delete(event.batch);
    }
  }

  #tick(): void {
    const passedMs = this.#passed();
    if (this.#options.standsStill()) return;
    const now = this.#options.now();
    const isBusy = [...this.#clocks].some(({ isAtWork }) => isAtWork);
    for (const clock of [...this.#clocks]) {
      if (clock.watched.onStuck === undefined || isWaiting(clock, now)) continue;
      // A pipeline takes a few deliveries at once: the others have done nothing wrong.
      if (!clock.isAtWork && isBusy) continue;
      clock.idleMs += passedMs;
      if (clock.idleMs < this.#options.deadlineMs) continue;
      this.#forget(clock);
      clock.watched.onStuck();
    }
  }

  /** The time since the last tick, in which a process that was stopped did not run. */
  #passed(): number {
    const tickedAt = this.#tickedAt;
    this.#tickedAt = performance.now();
    return Math.min(this.#tickedAt - tickedAt, 2 * this.#tickMs);
  }
}

function isWaiting({ waits }: Clock, now: number): boolean {
  return [...waits.values()].some((until) => until > now);
}

/** A call that got no answer is none. */
function isProgress(event: RunEvent): boolean {
  return event.type !== 'provider-call' || !['timeout', 'canceled'].includes(event.call.result);
}

function concerns(event: RunEvent, { request, batches }: Watched): boolean {
  if (event.request !== request) return false;
  if (batches === undefined || !('batch' in event)) return true;
  return event.batch >= batches.first && event.batch < batches.first + batches.count;
}
