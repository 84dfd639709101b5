import { PipelineError } from '../../../model/errors.ts';

export interface QuarantineSettings {
  /** After how many starts that were not handed back a request is started alone. */
  readonly after: number;
  /** After how many starts alone it is not started any more. */
  readonly starts: number;
}

/** Who wants to work. */
export interface Entry {
  /** The ledger key of the request. */
  readonly key: string;
  /** Whether it is a batch of a shared request. */
  readonly isPart: boolean;
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
 * Whoever is to be alone goes before all others, which are called back for it. Only the batches of a shared request that is
 * alone are done beside it, since it waits for them; one of them that is to be alone itself has it called back.
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
    const [first] = [...this.#waiting].filter(({ entry }) => entry.isAlone);
    if (this.#working.size === 0) first?.admit();
    const alone = this.#alone();
    const isFree = alone === undefined && first === undefined;
    for (const { entry, admit } of [...this.#waiting]) {
      if (!entry.isAlone && (isFree || isPartOf(entry, alone))) admit();
    }
    const goesFirst = [...this.#waiting].some(
      ({ entry }) => entry.isAlone && (alone === undefined || isPartOf(entry, alone)),
    );
    if (goesFirst) for (const { recall } of this.#working) recall.abort(recalled());
  }

  #alone(): Entry | undefined {
    return [...this.#working].find(({ entry }) => entry.isAlone)?.entry;
  }
}

function isPartOf({ isPart, key }: Entry, request: Entry | undefined): boolean {
  return isPart && request !== undefined && !request.isPart && request.key === key;
}

function recalled(): PipelineError {
  return new PipelineError('canceled', 'it waits for a request in quarantine', { retryable: true });
}
