import type { OutcomeCounts, RunEvent } from '../../index.ts';

/** A wait for credits. */
export interface Wait {
  readonly until: Date;
  /** For how many, where that is known. */
  readonly credits?: number | undefined;
}

/** A batch on its way. */
interface OpenBatch {
  readonly inputs: number;
  /** Inputs that are not fetched yet. */
  pending: number;
  wait?: Wait | undefined;
}

/** Counts what became of the symbols of a run, from its events. */
export class RunTally {
  readonly total: number;
  readonly counts = { ok: 0, fresh: 0, failed: 0, skipped: 0 };
  readonly #open = new Map<number, OpenBatch>();
  #asked = 0;
  #credits = 0;

  constructor(total: number) {
    this.total = total;
  }

  add(event: RunEvent): void {
    if (event.type === 'batch-started') {
      this.#open.set(event.batch, { inputs: event.inputs, pending: event.inputs });
    }
    const open = 'batch' in event ? this.#open.get(event.batch) : undefined;
    if (open !== undefined && event.type === 'waiting') {
      open.pending = Math.min(open.inputs, event.pending);
      open.wait = event;
    }
    if (event.type === 'provider-call' && event.call.result === 'ok') {
      this.#asked += event.call.inputs;
      this.#credits += event.call.credits;
      if (open !== undefined) open.pending = Math.max(0, open.pending - event.call.inputs);
    }
    if (event.type === 'batch-done') {
      this.#open.delete(event.batch);
      for (const status of statuses) this.counts[status] += event.counts[status];
    }
  }

  /** Symbols of which it is known what became of them, or that are fetched. */
  get done(): number {
    const fetched = [...this.#open.values()].reduce((sum, { inputs, pending }) => sum + inputs - pending, 0);
    return sumOf(this.counts) + fetched;
  }

  /** What the other symbols will cost, if they cost as much as those before. */
  get creditsLeft(): number {
    const price = this.#asked === 0 ? 1 : this.#credits / this.#asked;
    return Math.ceil((this.total - this.done) * price);
  }

  /** The first wait to end of those that last. */
  waitAt(now: number): Wait | undefined {
    const waits = [...this.#open.values()].flatMap(({ wait }) => (wait === undefined ? [] : [wait]));
    return waits
      .filter(({ until }) => until.getTime() > now)
      .reduce<Wait | undefined>(
        (first, wait) => (first !== undefined && first.until <= wait.until ? first : wait),
        undefined,
      );
  }
}

const statuses = ['ok', 'fresh', 'failed', 'skipped'] as const;

export function sumOf(counts: OutcomeCounts): number {
  return statuses.reduce((sum, status) => sum + counts[status], 0);
}

/** Such as `98 ok, 2 failed`: what is 0 is left out, except `ok`. */
export function countsText(counts: OutcomeCounts): string {
  const present = statuses.filter((status) => status === 'ok' || counts[status] > 0);
  return present.map((status) => `${counts[status]} ${status}`).join(', ');
}
