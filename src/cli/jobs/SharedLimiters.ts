import type { CreditLimiter, Limiter } from '../../index.ts';

/** Who asks a provider: limits are kept by key. */
export interface Account {
  readonly provider: string;
  readonly apiKey: string;
}

export interface SharedLimitersOptions {
  /** The lanes of the pipelines that ask the provider, the highest first. */
  readonly lanesOf: (provider: string) => readonly string[];
  /** Wraps each limiter once it is made. Default: nothing. */
  readonly wrap?: ((limiter: Limiter) => Limiter) | undefined;
}

/** One limiter for each API key, whatever number of pipelines ask with it. */
export class SharedLimiters implements AsyncDisposable {
  readonly #options: SharedLimitersOptions;
  readonly #opened = new Map<string, { readonly own: CreditLimiter; readonly shared: Limiter }>();

  constructor(options: SharedLimitersOptions) {
    this.#options = options;
  }

  /** The limiter of the account, made by the first who asks for it. */
  of({ provider, apiKey }: Account, open: (lanes: readonly string[]) => CreditLimiter): Limiter {
    const { lanesOf, wrap = (limiter: Limiter) => limiter } = this.#options;
    const key = JSON.stringify([provider, apiKey]);
    const known = this.#opened.get(key);
    if (known !== undefined) return known.shared;
    const own = open(lanesOf(provider));
    const shared = wrap(own);
    this.#opened.set(key, { own, shared });
    return shared;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#opened.values()].map(({ own }) => own.stop()));
  }
}
