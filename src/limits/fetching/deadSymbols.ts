import { PipelineError } from '../../model/errors.ts';

const mostRemembered = 10_000;
/** A batch of which a larger share is unknown says more of the provider than of its symbols. */
const mostUnknownShare = 0.2;

interface DeadSymbol {
  readonly error: PipelineError;
  readonly until: number;
}

/** The inputs that the provider does not know, for a while and in memory only, so that they are not paid for again. */
export class DeadSymbols {
  readonly #rememberMs: number;
  /** By key, in the order in which they will be forgotten. */
  readonly #dead = new Map<string, DeadSymbol>();

  /** @param rememberMs for how long; 0 for not at all */
  constructor(rememberMs: number) {
    this.#rememberMs = rememberMs;
  }

  get size(): number {
    return this.#dead.size;
  }

  /** What the provider said of an input that it does not know; undefined for every other. */
  errorOf(key: string): PipelineError | undefined {
    const dead = this.#dead.get(key);
    if (dead === undefined || dead.until > performance.now()) return dead?.error;
    this.#dead.delete(key);
    return undefined;
  }

  /** Remembers the unknown ones of a batch; see `DeadTally`. */
  remember(unknown: ReadonlyMap<string, PipelineError>): void {
    const until = performance.now() + this.#rememberMs;
    for (const [key, error] of unknown) {
      this.#dead.delete(key);
      this.#dead.set(key, { error, until });
    }
    for (const key of this.#dead.keys()) {
      if (this.#dead.size <= mostRemembered) break;
      this.#dead.delete(key);
    }
  }
}

/** Counts what a provider said of the inputs of one batch, to tell dead symbols from an outage, where all seem unknown. */
export class DeadTally {
  readonly #unknown = new Map<string, PipelineError>();
  #served = 0;

  add(key: string, value: unknown): void {
    if (!PipelineError.isInstance(value)) this.#served += 1;
    else if (value.code === 'symbol_unknown') this.#unknown.set(key, value);
  }

  /** The inputs that are dead: none if more than a fifth of what was answered is unknown. */
  get dead(): ReadonlyMap<string, PipelineError> {
    const answered = this.#served + this.#unknown.size;
    return this.#unknown.size <= mostUnknownShare * answered ? this.#unknown : new Map();
  }
}
