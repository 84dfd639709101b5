import type { RunEvent, RunObserver } from '../../index.ts';
import { duration } from './duration.ts';
import { countsText, RunTally, sumOf, type Wait } from './runTally.ts';
import { timeAhead, timeOf } from './time.ts';
import type { Writer } from './writer.ts';

/** A shorter wait is over before anybody has read of it. */
const worthALineMs = 1_000;
/** So much later a wait has to end than the one told of last, to get a line of its own. */
const betweenLinesMs = 30_000;

export interface ProgressOptions {
  readonly name: string;
  /** The number of symbols of the request. */
  readonly total: number;
  readonly writer: Writer;
  /** When that many more credits will have been granted. Default: nobody knows. */
  readonly forecast?: ((credits: number) => Date | undefined) | undefined;
}

export interface Progress extends RunObserver {
  /** To be called when the run is over. */
  end(): void;
}

/**
 * Shows the events of a run: one live line on a terminal, otherwise a plain line per batch, and one where it waits for
 * credits for more than a second, at most every half a minute.
 */
export function showProgress(options: ProgressOptions): Progress {
  return options.writer.isLive ? new LiveProgress(options) : new PlainProgress(options);
}

class PlainProgress implements Progress {
  readonly #options: ProgressOptions;
  readonly #tally: RunTally;
  #timer: NodeJS.Timeout | undefined;
  #toldUntil = -Infinity;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#tally = new RunTally(options.total);
  }

  next(event: RunEvent): void {
    this.#tally.add(event);
    if (event.type === 'batch-done') this.#tellBatch(event);
    if (event.type !== 'waiting') return;
    // By then the calls on their way are mostly answered, and the numbers true.
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tellWait();
    }, worthALineMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #tellBatch(event: Extract<RunEvent, { readonly type: 'batch-done' }>): void {
    const { name, total, writer } = this.#options;
    writer.log(
      `${name}: batch ${event.batch + 1}: ${countsText(event.counts)} in ${duration(event.processingTimeMs)}; ` +
        `${sumOf(this.#tally.counts)} of ${total} symbols done`,
    );
  }

  #tellWait(): void {
    const { name, writer, forecast } = this.#options;
    const wait = this.#tally.waitAt(Date.now());
    if (wait === undefined || wait.until.getTime() < this.#toldUntil + betweenLinesMs) return;
    this.#toldUntil = wait.until.getTime();
    writer.log(`${name}: ${waitText(wait, this.#tally, forecast)}`);
  }
}

class LiveProgress implements Progress {
  readonly #options: ProgressOptions;
  readonly #tally: RunTally;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#tally = new RunTally(options.total);
  }

  next(event: RunEvent): void {
    this.#tally.add(event);
    const { name, total, writer, forecast } = this.#options;
    const { done, counts } = this.#tally;
    const wait = this.#tally.waitAt(Date.now());
    // A wait without the name: the line has to fit a narrow terminal.
    if (wait !== undefined) writer.live(waitText(wait, this.#tally, forecast));
    else writer.live(`${name}: ${done}/${total} done (${countsText(counts)})`);
  }

  end(): void {
    this.#options.writer.live('');
  }
}

/** Such as `waiting for 8 credits until 14:03:00 UTC, 32/100 done, done at 14:12 UTC`. */
function waitText({ until, credits }: Wait, tally: RunTally, forecast: ProgressOptions['forecast']): string {
  const now = new Date();
  const wanted = credits === 1 ? '1 credit' : `${credits === undefined ? '' : `${credits} `}credits`;
  const doneAt = forecast?.(tally.creditsLeft);
  return (
    `waiting for ${wanted} until ${timeOf(until, now)}, ${tally.done}/${tally.total} done` +
    (doneAt === undefined ? '' : `, done at ${timeAhead(doneAt, now)}`)
  );
}
