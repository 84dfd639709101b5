import { OptionsError } from '../../model/errors.ts';
import type { QuotaSeen, QuotaWindow } from '../../model/ports.ts';
import type { CallEnd, CreditNeed, CreditSource, ForecastBasis, SuppliedCredits } from './creditSource.ts';

type Taken = SuppliedCredits | undefined;

/** Several sources as one: a call gets as many credits as all of them have for it. */
export class CombinedSource implements CreditSource {
  readonly capacity: number;
  readonly #sources: readonly CreditSource[];

  constructor(sources: readonly CreditSource[]) {
    this.#sources = sources;
    this.capacity = Math.min(...sources.map(({ capacity }) => capacity));
  }

  readyAt(need: CreditNeed, at: number): number {
    return Math.max(...this.#sources.map((source) => source.readyAt(need, at)));
  }

  moreAt(need: CreditNeed, at: number): number {
    return Math.max(...this.#sources.map((source) => source.moreAt?.(need, at) ?? at));
  }

  take(need: CreditNeed, at: number): Taken | Promise<Taken> {
    // What no call can ever get is asked of nobody: a quota would book it ahead, and lose it in a crash.
    const credits = Math.min(need.credits, this.capacity);
    return this.#takeFrom(0, { ...need, credits }, at, []);
  }

  forecast(credits: number, basis: ForecastBasis): number {
    const takesMs = (rest: number): number => this.takesMs(rest, basis);
    return Math.max(...this.#sources.map((source) => source.forecast(credits, basis, takesMs)));
  }

  takesMs(credits: number, basis: ForecastBasis): number {
    return Math.max(...this.#sources.map((source) => source.takesMs?.(credits, basis) ?? 0));
  }

  windows(reserve: number, at: number): readonly QuotaWindow[] {
    return this.#sources.flatMap((source) => source.windows(reserve, at));
  }

  async refresh(): Promise<void> {
    await Promise.all(this.#sources.map(async (source) => source.refresh?.()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map(async (source) => source.close?.()));
  }

  /** Asks one source after the other, each for no more than the ones before had. */
  #takeFrom(index: number, need: CreditNeed, at: number, parts: readonly SuppliedCredits[]): Taken | Promise<Taken> {
    const source = this.#sources[index];
    if (source === undefined) return new CombinedCredits(parts);
    const goOn = (taken: Taken): Taken | Promise<Taken> => {
      if (taken !== undefined) {
        return this.#takeFrom(index + 1, { ...need, credits: taken.credits }, at, [...parts, taken]);
      }
      giveBack(parts);
      return undefined;
    };
    const taken = source.take(need, at);
    if (!(taken instanceof Promise)) return goOn(taken);
    return taken.then(goOn, (error: unknown) => {
      giveBack(parts);
      throw error;
    });
  }
}

function giveBack(parts: readonly SuppliedCredits[]): void {
  for (const part of parts) part.release(part.credits);
}

class CombinedCredits implements SuppliedCredits {
  readonly #parts: readonly SuppliedCredits[];
  readonly deadlineAtMs: number | undefined;
  #isSettled = false;

  constructor(parts: readonly SuppliedCredits[]) {
    this.#parts = parts;
    this.deadlineAtMs = parts.find(({ deadlineAtMs }) => deadlineAtMs !== undefined)?.deadlineAtMs;
    const { credits } = this;
    for (const part of parts) part.release(part.credits - credits);
  }

  get credits(): number {
    return Math.min(...this.#parts.map(({ credits }) => credits));
  }

  release(unused: number): void {
    if (!Number.isSafeInteger(unused) || unused < 0 || unused > this.credits) {
      throw new OptionsError(`Grant.release: expected 0 to ${String(this.credits)} credits, got ${String(unused)}`);
    }
    if (this.#isSettled) return;
    for (const part of this.#parts) part.release(unused);
  }

  report(seen: QuotaSeen, at: number): void {
    for (const part of this.#parts) part.report(seen, at);
  }

  settle(end: CallEnd, at: number): void {
    this.#isSettled = true;
    for (const part of this.#parts) part.settle(end, at);
  }
}
