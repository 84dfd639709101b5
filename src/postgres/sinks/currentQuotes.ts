import type { Standing } from '../../model/outcome.ts';
import type { Sink } from '../../model/ports.ts';
import type { Database } from '../connectDatabase.ts';
import { withRetry } from '../inTransaction.ts';
import { runStatement, textArray } from '../ledger/statement.ts';
import { refuseSymbol } from './checks.ts';
import { parsePrices, selectFresh } from './quoteStatements.ts';
import type { QuoteTableOptions } from './quoteStatements.ts';

interface FreshRow {
  readonly position: number;
  readonly prices: readonly string[];
}

/** A century: what is longer may leave the range of PostgreSQL's timestamps. */
const longestMs = 36_525 * 86_400_000;

/** Makes `Sink.current` of a table of quotes: one statement for all inputs. */
export function currentQuotes<I extends { readonly symbol: string }, T>(
  database: Database,
  table: QuoteTableOptions<I, T>,
): NonNullable<Sink<I, T>['current']> {
  const statement = selectFresh(database, table);
  return async (inputs, { maxAgeMs, signal }) => {
    // What no text of PostgreSQL can be would fail the whole statement.
    const asked = inputs.filter(
      ({ symbol }) => refuseSymbol(table.name, symbol, Number.POSITIVE_INFINITY) === undefined,
    );
    if (asked.length === 0 || maxAgeMs === 0) return inputs.map(pending);
    const values = [...table.key.map(({ of }) => textArray(asked.map(of))), Math.min(maxAgeMs, longestMs)];
    const rows = await withRetry(database, () => runStatement<FreshRow>(database.pool, statement, values), { signal });
    const fresh = new Map(rows.map(({ position, prices }) => [asked[position - 1], parsePrices(prices)]));
    return inputs.map((input): Standing<I, T> => {
      const prices = fresh.get(input);
      return prices === undefined ? pending(input) : { status: 'fresh', input, value: table.valueOf(input, prices) };
    });
  };
}

function pending<I>(input: I): Standing<I, never> {
  return { status: 'pending', input };
}
