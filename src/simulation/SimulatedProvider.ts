import { ProviderError, RateLimitError, type PipelineError } from '../model/errors.ts';
import type { Provider, QuotaSeen } from '../model/ports.ts';
import type { Asset, Quote } from '../model/records.ts';
import { isUnknown, keyOfAsset } from './assets.ts';
import type { SimulatedProcess } from './SimulatedProcess.ts';
import type { World } from './World.ts';

/** What the provider's server says of each asset: its price, or why there is none. */
export interface ProviderAnswer {
  readonly values: readonly (Quote | PipelineError)[];
  readonly seen: QuotaSeen;
}

/** Sends one request to the modelled server of the provider. */
export type AskProvider = (assets: readonly Asset[]) => Promise<ProviderAnswer>;

/** A provider of one process, as whoever brings one of his own makes it. */
export type OpenProvider = (ask: AskProvider) => Provider<Asset, Quote>;

const name = 'simulated';

/** How long the provider is out of quota, and asks to wait when it refuses. */
const retryAfterMs = 1_500;

/** A provider's adapter, of the simplest kind. */
export const simpleProvider: OpenProvider = (ask) => ({
  name,
  maxBatchSize: 100,
  cost: (assets) => assets.length,
  fetch: async (assets, call) => {
    const { values, seen } = await ask(assets);
    call.report(seen);
    return values;
  },
});

/** The server of a provider with a quota. Its prices count its answers, so that each answer is another one. */
export class SimulatedProvider {
  readonly #world: World;
  /** What it counted, with the moment. */
  readonly #arrivals: { readonly atMs: number; readonly credits: number }[] = [];
  #answers = 0;
  readonly #last = new Map<string, Quote>();
  /** When each price was first heard of, by asset and price. */
  readonly heard = new Map<string, number>();
  /** Assets that it was asked for in an outage, in which it knew none, and when. */
  readonly deniedAtMs = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  ask(process: SimulatedProcess): AskProvider {
    return async (assets) => {
      const keys = assets.map(keyOfAsset);
      const answer = await this.#world.effect(process, {
        on: 'provider',
        name: `call ${keys.join(', ')}`,
        apply: () => this.#arrive(assets),
        failure: (how) =>
          how === 'refused'
            ? new ProviderError('provider_unavailable', `${name}: connection refused`, { retryable: true })
            : undefined,
      });
      for (const value of answer.values) {
        if (value instanceof Error) continue;
        const key = `${keyOfAsset(value)} ${value.price}`;
        if (!this.heard.has(key)) this.heard.set(key, this.heard.size);
      }
      return answer;
    };
  }

  #arrive(assets: readonly Asset[]): ProviderAnswer {
    const fault = this.#world.nextProviderFault();
    if (fault === 'refuse') throw new RateLimitError(name, { retryAfterMs });
    if (fault === 'exhausted')
      throw new ProviderError('quota_exhausted', `${name}: no credits today`, { retryAfterMs });
    const seen = this.#count(assets.length);
    if (fault === 'cut')
      throw new ProviderError('provider_unavailable', `${name}: connection reset`, { retryable: true });
    return { values: assets.map((asset) => this.#valueOf(asset, fault)), seen };
  }

  #count(credits: number): QuotaSeen {
    const { time, scenario } = this.#world;
    const { nowMs } = time;
    this.#arrivals.push({ atMs: nowMs, credits });
    const inWindow = this.#arrivals.filter(({ atMs }) => nowMs - atMs < scenario.windowMs);
    const used = inWindow.reduce((sum, each) => sum + each.credits, 0);
    if (used > scenario.credits) {
      this.#world.violate(`quota: ${used} credits within ${scenario.windowMs} ms, the plan has ${scenario.credits}`);
    }
    const today = this.#arrivals.reduce((sum, each) => sum + each.credits, 0);
    if (today > (scenario.dailyCredits ?? Infinity)) {
      this.#world.violate(`quota: ${today} credits in a day, the plan has ${scenario.dailyCredits ?? Infinity}`);
    }
    return { used, left: scenario.credits - used };
  }

  #valueOf(asset: Asset, fault: 'repeat' | 'unknown' | undefined): Quote | PipelineError {
    const key = keyOfAsset(asset);
    if (fault === 'unknown') this.deniedAtMs.set(key, this.#world.time.nowMs);
    if (fault === 'unknown' || isUnknown(key)) {
      return new ProviderError('symbol_unknown', `${name}: ${key}: unknown symbol`);
    }
    const last = this.#last.get(key);
    if (fault === 'repeat' && last !== undefined) return last;
    this.#answers += 1;
    const price = String(this.#answers);
    const quote = { ...asset, price, change: '0', percentChange: '0', high: price, low: price };
    this.#last.set(key, quote);
    return quote;
  }
}
