import { Observable } from 'rxjs';
import { inspect } from './checks.ts';
import { pullOpener, type Pull } from './pull.ts';
import { startPull } from './startPull.ts';

/**
 * Emits the items of pages one by one: `fromPull` for a source that answers with arrays, such as pages of a table.
 *
 * The next page is asked for when every item of the last one has been emitted, so that at most one page is in memory
 * besides what the bounded operators below hold. An empty page is no end. Everything else is as in `fromPull`: the
 * factory form, completing, errors, unsubscribing. A page that is not an array is a `TypeError`.
 *
 * @example
 * ```ts
 * import { fromPages } from 'fintrack-pipelines';
 *
 * async function* pages() {
 *   yield ['AAPL', 'MSFT'];
 *   yield [];
 *   yield ['IBM'];
 * }
 *
 * fromPages(() => pages()).subscribe((symbol) => console.log(symbol));
 * // AAPL
 * // MSFT
 * // IBM
 * ```
 */
export function fromPages<Value>(
  pages: Pull<readonly Value[]> | ((signal: AbortSignal) => Pull<readonly Value[]>),
): Observable<Value> {
  const open = pullOpener('fromPages', pages);
  return new Observable<Value>((subscriber) => {
    startPull<readonly Value[], Value>(subscriber, open, { one: itemsOf, all: itemsOfAll });
  });
}

function itemsOf<Value>(page: readonly Value[]): readonly Value[] {
  const isArray: boolean = Array.isArray(page);
  if (!isArray) throw new TypeError(`fromPages: expected pages that are arrays, got ${inspect(page)}`);
  return page;
}

function* itemsOfAll<Value>(pages: Iterator<readonly Value[], unknown>): Generator<Value> {
  for (const page of { [Symbol.iterator]: () => pages }) yield* itemsOf(page);
}
