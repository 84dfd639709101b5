import { foldCase, isSameSymbol, type ExchangeSign } from './isSameSymbol.ts';

/** The answers of a list, by the symbols asked for. */
export interface MatchedAnswers<R> {
  /** The answer that is about the symbol by its own word. */
  readonly of: (symbol: string) => R | undefined;
  /** How many of its answers are about what was asked. */
  readonly matched: number;
  /** What the list names that nobody asked for. */
  readonly others: readonly string[];
}

/**
 * Finds out which answer of a list is about which symbol, by the name that each answer gives itself. The same name, letter
 * case aside, goes first; what `isSameSymbol` allows besides counts only where it is the one way to match.
 */
export function matchAnswers<R>(
  asked: readonly string[],
  answers: ReadonlyMap<string, R>,
  exchangeSign?: ExchangeSign,
): MatchedAnswers<R> {
  const byFoldedName = new Map([...answers.keys()].map((name) => [foldCase(name), name]));
  const names = new Map<string, string>();
  for (const symbol of asked) {
    const name = answers.has(symbol) ? symbol : byFoldedName.get(foldCase(symbol));
    if (name !== undefined) names.set(symbol, name);
  }
  const taken = new Set(names.values());
  const free = [...answers.keys()].filter((name) => !taken.has(name));
  const open = free.length === 0 ? [] : asked.filter((symbol) => !names.has(symbol));
  for (const symbol of open) {
    const [name, ...more] = free.filter((each) => isSameSymbol(symbol, each, exchangeSign));
    const rivals = open.filter((each) => name !== undefined && isSameSymbol(each, name, exchangeSign));
    if (name !== undefined && more.length === 0 && rivals.length === 1) names.set(symbol, name);
  }
  const matched = new Set(names.values());
  return {
    of: (symbol) => {
      const name = names.get(symbol);
      return name === undefined ? undefined : answers.get(name);
    },
    matched: matched.size,
    others: free.filter((name) => !matched.has(name)),
  };
}
