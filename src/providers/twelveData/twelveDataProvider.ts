import { PipelineError } from '../../model/errors.ts';
import type { Provider } from '../../model/ports.ts';
import type { Asset } from '../../model/records.ts';
import { refusalError } from '../http/refusal.ts';
import type { JsonRecord } from '../readDecimals.ts';
import { answersOther, namesNothing } from '../answersOther.ts';
import { isSameSymbol } from '../isSameSymbol.ts';
import { askTwelveData, exchangeSign, leftOut, nameOf, providerName, type Answers } from './askTwelveData.ts';
import { saysNoMonths } from './classifyTwelveData.ts';
import type { ResolvedTwelveDataOptions } from './twelveDataOptions.ts';
import { twelveDataSymbol } from './twelveDataSymbol.ts';

/** The parameters of a request besides the symbols. */
export type Parameters = Readonly<Record<string, string>>;

/** What one endpoint asks and how it reads the answer. */
interface Endpoint<I extends Asset, T> {
  /** Of one request each, at least one; `inputs` is never empty. */
  requests(inputs: readonly I[]): readonly Parameters[];
  read(input: I, record: JsonRecord, parameters: Parameters): T | PipelineError;
  /** Whether a record that does not say what it is about holds nothing to be about. Default: it never does. */
  readonly isEmpty?: (record: JsonRecord) => boolean;
  /** Time limit of one call, in milliseconds. Default: that of the fetcher. */
  readonly timeoutMs?: number;
  /** What it means that there are no prices on the dates asked for. Default: a refusal like any other. */
  readonly readNoMonths?: (input: I) => T;
  /** The values of several requests as one. Default: the value of the first. */
  readonly join?: (input: I, values: readonly T[]) => T;
}

interface Asked {
  readonly parameters: Parameters;
  readonly answers: Answers;
}

/** Inputs with the same key are paid once. A symbol that cannot be asked for counts too: each input has its cost. */
function creditKey(input: Asset): string {
  const symbol = twelveDataSymbol(providerName, input);
  return typeof symbol === 'string' ? symbol : input.symbol;
}

/** What all endpoints of Twelve Data have in common: a credit per symbol, one request for all of them, errors inside. */
export function twelveDataProvider<I extends Asset, T>(
  options: ResolvedTwelveDataOptions,
  endpoint: Endpoint<I, T>,
): Provider<I, T> {
  function read(input: I, symbol: string, { answers, parameters }: Asked): T | PipelineError {
    const answer = answers.of(symbol);
    const subject = `${providerName}: ${input.symbol}`;
    if (answer === undefined) {
      const [other] = answers.others;
      return other === undefined ? leftOut(input.symbol) : answersOther(subject, symbol, other);
    }
    if ('record' in answer) {
      const { record, isKeyed } = answer;
      const named = nameOf(record);
      if (named !== undefined && !isSameSymbol(symbol, named, exchangeSign))
        return answersOther(subject, symbol, named);
      const isUnnamed = named === undefined && !isKeyed && endpoint.isEmpty?.(record) !== true;
      return isUnnamed ? namesNothing(subject, 'symbol') : endpoint.read(input, record, parameters);
    }
    const { refusal } = answer;
    if (endpoint.readNoMonths !== undefined && saysNoMonths(refusal)) return endpoint.readNoMonths(input);
    return refusalError(providerName, { ...refusal, status: `${symbol}: ${refusal.status}` }, [options.apiKey]);
  }

  function readAll(input: I, symbol: string, all: readonly Asked[]): T | PipelineError {
    const values: T[] = [];
    for (const asked of all) {
      const value = read(input, symbol, asked);
      if (PipelineError.isInstance(value)) return value;
      values.push(value);
    }
    const [first] = values;
    if (first === undefined) return leftOut(input.symbol);
    return endpoint.join === undefined || values.length === 1 ? first : endpoint.join(input, values);
  }

  return {
    name: providerName,
    maxBatchSize: options.maxBatchSize,
    timeoutMs: endpoint.timeoutMs,
    cost: (inputs) =>
      inputs.length === 0 ? 0 : new Set(inputs.map(creditKey)).size * endpoint.requests(inputs).length,
    async fetch(inputs, call) {
      call.signal.throwIfAborted();
      const symbols = inputs.map((input) => twelveDataSymbol(providerName, input));
      // A coin and a pair may be the same symbol to the provider: asked for, and paid, once.
      const wanted = [...new Set(symbols.filter((symbol) => typeof symbol === 'string'))];
      if (wanted.length === 0) return symbols.filter((symbol) => typeof symbol !== 'string');
      const all: Asked[] = [];
      for (const parameters of endpoint.requests(inputs)) {
        all.push({ parameters, answers: await askTwelveData(wanted, parameters, options, call) });
      }
      return inputs.map((input, index) => {
        const symbol = symbols[index];
        return typeof symbol === 'string' ? readAll(input, symbol, all) : (symbol ?? leftOut(input.symbol));
      });
    },
  };
}
