import type { ProviderHealth } from '../../../index.ts';
import { duration } from '../../output/duration.ts';
import { sentence } from '../../output/sentence.ts';
import { timeOf } from '../../output/time.ts';
import type { PipelineHealth } from '../http/readiness.ts';

const everyMs = 1_000;

export interface ProviderWatchOptions {
  readonly providers: readonly PipelineHealth[];
  /** Gets a line when a provider is not what it was. */
  readonly log: (line: string) => void;
}

interface Seen {
  readonly state: ProviderHealth['state'];
  readonly since: number;
}

/** Looks how the providers are, once a second: nothing tells when one comes back. */
export class ProviderWatch implements Disposable {
  readonly #options: ProviderWatchOptions;
  readonly #seen = new Map<string, Seen>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: ProviderWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      this.look();
    }, everyMs);
    this.#timer.unref();
  }

  look(): void {
    for (const { pipeline, health } of this.#options.providers) {
      for (const each of health()) this.#compare(`${pipeline}: ${each.provider}`, each);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #compare(name: string, health: ProviderHealth): void {
    const before = this.#seen.get(name);
    if (before?.state === health.state || (before === undefined && health.state === 'up')) return;
    const now = performance.now();
    this.#seen.set(name, { state: health.state, since: now });
    this.#options.log(`${name} ${textOf(health, now - (before?.since ?? now))}`);
  }
}

function textOf({ state, error, until }: ProviderHealth, afterMs: number): string {
  const reason = error === undefined ? '' : `: ${sentence(error)}`;
  const then = until === undefined ? '' : timeOf(until, new Date());
  switch (state) {
    case 'up':
      return `is back after ${duration(afterMs)}`;
    case 'down':
      return `is down${then === '' ? '' : `; next try at ${then}`}${reason}`;
    case 'exhausted':
      return `has no quota left${then === '' ? '' : ` until ${then}`}${reason}`;
    case 'refused':
      return `refuses the key; the first request${then === '' ? '' : ` after ${then}`} tries it again${reason}`;
  }
}
