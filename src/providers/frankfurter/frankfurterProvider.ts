import { PipelineError, ProviderError } from '../../model/errors.ts';
import type { Provider } from '../../model/ports.ts';
import type { Asset, MonthlyPrice } from '../../model/records.ts';
import { answersOther, namesNothing } from '../answersOther.ts';
import { currencyPair, type CurrencyPair } from '../currencyPair.ts';
import { isDate } from '../monthlyRanges.ts';
import { readDecimals, type JsonRecord } from '../readDecimals.ts';
import { askFrankfurter, providerName } from './askFrankfurter.ts';
import type { ResolvedFrankfurterOptions } from './frankfurterOptions.ts';

/** A rate under its date. */
export type DatedRate = MonthlyPrice;

/** What one endpoint asks and how it reads the answer. */
interface Endpoint<I extends Asset, T> {
  /** The parameters besides the currencies, of one request each; `inputs` is never empty. */
  requests(inputs: readonly I[]): readonly Readonly<Record<string, string>>[];
  /** The rates are in the order of their dates, and never none. */
  read(input: I, rates: readonly DatedRate[]): T | PipelineError;
}

/** What all requests of one base currency brought. */
interface BaseAnswer {
  readonly byQuote: Map<string, JsonRecord[]>;
  other: string | undefined;
  someUnnamed: boolean;
}

/** A call may be several requests. */
const timeoutMs = 30_000;

const fields = { rate: { key: 'rate' } } as const;

/** What quotes and months have in common: no key, and all pairs of one base currency in one request. */
export function frankfurterProvider<I extends Asset, T>(
  options: ResolvedFrankfurterOptions,
  endpoint: Endpoint<I, T>,
): Provider<I, T> {
  function read(input: I, pair: CurrencyPair, answer: BaseAnswer | undefined): T | PipelineError {
    const subject = `${providerName}: ${input.symbol}`;
    const rows = answer?.byQuote.get(pair.quote);
    if (rows === undefined) {
      if (answer?.other !== undefined) return answersOther(subject, `${pair.base}/${pair.quote}`, answer.other);
      if (answer?.someUnnamed === true) return namesNothing(subject, 'pair');
      return new ProviderError('symbol_unknown', `${subject}: unknown currency, or no rates published in these days`);
    }
    const rates = readRates(subject, rows);
    return PipelineError.isInstance(rates) ? rates : endpoint.read(input, rates);
  }

  return {
    name: providerName,
    maxBatchSize: options.maxBatchSize,
    timeoutMs,
    cost: (inputs) => {
      const requests = [...byBase(inputs).values()].map((group) => endpoint.requests(group).length);
      return Math.max(
        Math.min(1, inputs.length),
        requests.reduce((sum, count) => sum + count, 0),
      );
    },
    async fetch(inputs, { signal }) {
      signal.throwIfAborted();
      const answers = new Map<string, BaseAnswer>();
      for (const [base, group] of byBase(inputs)) {
        const all: BaseAnswer = { byQuote: new Map(), other: undefined, someUnnamed: false };
        answers.set(base, all);
        const quotes = [...new Set(group.map((input) => (pairOf(input) as CurrencyPair).quote))];
        for (const parameters of endpoint.requests(group)) {
          const answer = await askFrankfurter({ base, quotes, parameters }, options, signal);
          for (const [quote, found] of answer.byQuote) addRows(all.byQuote, quote, found);
          all.other ??= answer.other;
          all.someUnnamed ||= answer.someUnnamed;
        }
      }
      return inputs.map((input) => {
        const pair = pairOf(input);
        return PipelineError.isInstance(pair) ? pair : read(input, pair, answers.get(pair.base));
      });
    },
  };
}

function addRows(rows: Map<string, JsonRecord[]>, quote: string, found: readonly JsonRecord[]): void {
  // A loop: months of days are more than a call takes as arguments.
  const known = rows.get(quote) ?? [];
  for (const row of found) known.push(row);
  rows.set(quote, known);
}

/** Other assets than currency pairs are never asked for. */
function pairOf({ symbol, assetType }: Asset): CurrencyPair | ProviderError {
  if (assetType === 'FOREX') return currencyPair(providerName, symbol);
  const message = `${providerName}: ${symbol}: only currency pairs (FOREX) are served, this is ${assetType}`;
  return new ProviderError('asset_type_unknown', message);
}

/** The inputs that can be asked for, by base currency. */
function byBase<I extends Asset>(inputs: readonly I[]): ReadonlyMap<string, readonly I[]> {
  const groups = new Map<string, I[]>();
  for (const input of inputs) {
    const pair = pairOf(input);
    if (!PipelineError.isInstance(pair)) groups.set(pair.base, [...(groups.get(pair.base) ?? []), input]);
  }
  return groups;
}

function readRates(subject: string, rows: readonly JsonRecord[]): readonly DatedRate[] | ProviderError {
  const rates: DatedRate[] = [];
  for (const row of rows) {
    const date = typeof row['date'] === 'string' ? row['date'] : '';
    if (!isDate(date)) {
      const seen = JSON.stringify(row['date'] ?? null).slice(0, 60);
      return new ProviderError('value_invalid', `${subject}: date: expected a date, got ${seen}`);
    }
    const decimals = readDecimals(`${subject}: ${date}`, row, fields);
    if (PipelineError.isInstance(decimals)) return decimals;
    rates.push({ date, price: decimals.rate });
  }
  return rates.sort((a, b) => (a.date < b.date ? -1 : 1));
}
