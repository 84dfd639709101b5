import { PipelineError } from '../../../model/errors.ts';

export interface QuarantineSettings {
  /** After how many starts that were not handed back a request is started alone. */
  readonly after: number;
  /** After how many starts alone it is not started any more. */
  readonly starts: number;
}

/** Who wants to work. */
export interface Entry {
  /** Whether nothing else may be at work meanwhile. */
  readonly isAlone: boolean;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/** The permission to work. */
export interface Place {
  /** Aborted when somebody else is to be alone: what is done by then is kept, and the rest is begun again. */
  readonly recall: AbortSignal;
  leave(): void;
}

interface Waiting {
  readonly entry: Entry;
  readonly admit: () => void;
}

interface Working {
  readonly entry: Entry;
  readonly recall: AbortController;
}

/**
 * Who may be at work in this process: everybody at once, or one that is alone, because it may be what ended the processes
 * that had it before.
 *
 * Whoever is to be alone goes before all others, which are called back for it. Nobody may wait in here for somebody else: so the
 * owner of a shared request, which waits for its batches, is never in.
 */
export class Quarantine {
  readonly settings: QuarantineSettings;
  readonly #waiting = new Set<Waiting>();
  readonly #working = new Set<Working>();

  constructor(settings: QuarantineSettings) {
    this.settings = settings;
  }

  /** Resolves once it may work; rejects with the reason of its signal when that aborts before. */
  async enter(entry: Entry): Promise<Place> {
    const { signal } = entry;
    signal.throwIfAborted();
    const working: Working = { entry, recall: new AbortController() };
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        signal.removeEventListener('abort', abort);
        this.#waiting.delete(waiting);
      };
      const abort = (): void => {
        end();
        reject(signal.reason as Error);
        this.#next();
      };
      const admit = (): void => {
        end();
        this.#working.add(working);
        resolve();
      };
      const waiting: Waiting = { entry, admit };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.add(waiting);
      this.#next();
    });
    return {
      recall: working.recall.signal,
      leave: () => {
        if (this.#working.delete(working)) this.#next();
      },
    };
  }

  #next(): void {
    const isAlone = [...this.#working].some(({ entry }) => entry.isAlone);
    const first = [...this.#waiting].find(({ entry }) => entry.isAlone);
    if (first === undefined) {
      if (!isAlone) for (const { admit } of [...this.#waiting]) admit();
    } else if (this.#working.size === 0) first.admit();
    else if (!isAlone) for (const { recall } of this.#working) recall.abort(recalled());
  }
}

function recalled(): PipelineError {
  return new PipelineError('canceled', 'it waits for a request in quarantine', { retryable: true });
}
