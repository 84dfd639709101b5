import type { OutcomeCounts, RunEvent, RunObserver } from '../../index.ts';
import { duration } from './duration.ts';
import type { Writer } from './writer.ts';

/**
 * Shows the events of a run: one live line on a terminal, otherwise a plain line per batch and per wait.
 *
 * `total` is the number of symbols of the request.
 */
export function showProgress(name: string, total: number, writer: Writer): RunObserver & { end(): void } {
  return writer.isLive ? new LiveProgress(name, total, writer) : new PlainProgress(name, total, writer);
}

class PlainProgress implements RunObserver {
  readonly #name: string;
  readonly #total: number;
  readonly #writer: Writer;
  #done = 0;
  #waitingUntil = '';

  constructor(name: string, total: number, writer: Writer) {
    this.#name = name;
    this.#total = total;
    this.#writer = writer;
  }

  next(event: RunEvent): void {
    if (event.type === 'batch-done') {
      this.#done += sumOf(event.counts);
      this.#writer.log(
        `${this.#name}: batch ${event.batch + 1}: ${countsText(event.counts)} in ${duration(event.processingTimeMs)}; ` +
          `${this.#done} of ${this.#total} symbols done`,
      );
    }
    if (event.type === 'waiting') this.#wait(timeOfDay(event.until));
  }

  end(): void {
    this.#waitingUntil = '';
  }

  #wait(until: string): void {
    if (until === this.#waitingUntil) return;
    this.#waitingUntil = until;
    this.#writer.log(`${this.#name}: waiting for credits until ${until}`);
  }
}

class LiveProgress implements RunObserver {
  readonly #name: string;
  readonly #total: number;
  readonly #writer: Writer;
  readonly #counts = { ok: 0, fresh: 0, failed: 0, skipped: 0 };
  #fetched = 0;
  #calls = 0;
  #waitingUntil = new Date(0);

  constructor(name: string, total: number, writer: Writer) {
    this.#name = name;
    this.#total = total;
    this.#writer = writer;
  }

  next(event: RunEvent): void {
    if (event.type === 'batch-done') {
      for (const status of statuses) this.#counts[status] += event.counts[status];
    }
    if (event.type === 'provider-call') {
      this.#calls += 1;
      this.#fetched += event.call.inputs;
    }
    if (event.type === 'waiting') this.#waitingUntil = event.until;
    this.#draw();
  }

  end(): void {
    this.#writer.live('');
  }

  #draw(): void {
    const isWaiting = this.#waitingUntil.getTime() > Date.now();
    this.#writer.live(
      `${this.#name}: ${sumOf(this.#counts)} of ${this.#total} symbols done (${countsText(this.#counts)}), ` +
        `${this.#fetched} asked for in ${this.#calls} ${this.#calls === 1 ? 'call' : 'calls'}` +
        (isWaiting ? `, waiting for credits until ${timeOfDay(this.#waitingUntil)}` : ''),
    );
  }
}

const statuses = ['ok', 'fresh', 'failed', 'skipped'] as const;

function sumOf(counts: OutcomeCounts): number {
  return statuses.reduce((sum, status) => sum + counts[status], 0);
}

/** Such as `98 ok, 2 failed`: what is 0 is left out, except `ok`. */
function countsText(counts: OutcomeCounts): string {
  const present = statuses.filter((status) => status === 'ok' || counts[status] > 0);
  return present.map((status) => `${counts[status]} ${status}`).join(', ');
}

function timeOfDay(date: Date): string {
  return `${date.toISOString().slice(11, 19)} UTC`;
}
