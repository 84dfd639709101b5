import { setMaxListeners } from 'node:events';
import { exitComplete, exitFailed } from '../command.ts';
import { duration } from '../output/duration.ts';

/** How long it may take to leave the group and to close everything, once what was in flight is handed back. */
const closingMs = 10_000;

/** How long the process may go on after that. */
const lingeringMs = 3_000;

export interface DrainOptions {
  /** Aborted when the worker is told to stop. */
  readonly stop: AbortSignal;
  /** How long what is in flight may take from then on. */
  readonly drainMs: number;
  readonly log: (line: string) => void;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
}

/** Keeps the end of a worker within its time: first what is in flight is finished, then handed back, then left as it is. */
export class Drain implements Disposable {
  readonly #options: DrainOptions;
  readonly #handBack = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DrainOptions) {
    this.#options = options;
    // Every call that may have to wait for the database listens to it: many, and no leak that Node.js should warn of.
    setMaxListeners(0, this.#handBack.signal);
    if (options.stop.aborted) this.#begin();
    else options.stop.addEventListener('abort', this.#begin, { once: true });
  }

  /** Whether the worker is told to stop. */
  get isUnderWay(): boolean {
    return this.#options.stop.aborted;
  }

  /** Aborted when what is still in flight is to be handed back. */
  get handBack(): AbortSignal {
    return this.#handBack.signal;
  }

  [Symbol.dispose](): void {
    this.#options.stop.removeEventListener('abort', this.#begin);
    clearTimeout(this.#timer);
    if (!this.isUnderWay) return;
    // All is closed. A socket that somebody forgot must not keep the process.
    setTimeout(() => {
      this.#options.exit(exitComplete);
    }, lingeringMs).unref();
  }

  readonly #begin = (): void => {
    const { drainMs, log } = this.#options;
    log(`drain: no new requests; those in flight have ${duration(drainMs)}`);
    this.#timer = setTimeout(this.#giveBack, drainMs);
  };

  readonly #giveBack = (): void => {
    this.#options.log('drain: the time is over: what is still in flight is handed back, and goes on elsewhere');
    this.#timer = setTimeout(this.#giveUp, closingMs);
    this.#handBack.abort();
  };

  readonly #giveUp = (): void => {
    const { log, exit } = this.#options;
    log('drain: stuck: the process ends at once; nothing is lost, the requests in flight go on with their next owner');
    exit(exitFailed);
  };
}
