import type { PipelineError } from '../../model/errors.ts';
import type { Provider } from '../../model/ports.ts';
import type { Asset } from '../../model/records.ts';
import { refusalError } from '../http/refusal.ts';
import type { JsonRecord } from '../readDecimals.ts';
import { askTwelveData, leftOut, providerName, type Answer } from './askTwelveData.ts';
import { saysNoMonths } from './classifyTwelveData.ts';
import type { ResolvedTwelveDataOptions } from './twelveDataOptions.ts';
import { twelveDataSymbol } from './twelveDataSymbol.ts';

/** What one endpoint asks and how it reads the answer. */
interface Endpoint<I extends Asset, T> {
  /** The parameters besides the symbols; `inputs` is never empty. */
  parameters(inputs: readonly I[]): Readonly<Record<string, string>>;
  read(input: I, record: JsonRecord): T | PipelineError;
  /** What it means that there are no prices on the dates asked for. Default: a refusal like any other. */
  readonly readNoMonths?: (input: I) => T;
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
  function read(input: I, symbol: string, answer: Answer | undefined): T | PipelineError {
    if (answer === undefined) return leftOut(input.symbol);
    if ('record' in answer) return endpoint.read(input, answer.record);
    const { refusal } = answer;
    if (endpoint.readNoMonths !== undefined && saysNoMonths(refusal)) return endpoint.readNoMonths(input);
    return refusalError(providerName, { ...refusal, status: `${symbol}: ${refusal.status}` }, [options.apiKey]);
  }

  return {
    name: providerName,
    maxBatchSize: options.maxBatchSize,
    cost: (inputs) => new Set(inputs.map(creditKey)).size,
    async fetch(inputs, call) {
      call.signal.throwIfAborted();
      const symbols = inputs.map((input) => twelveDataSymbol(providerName, input));
      // A coin and a pair may be the same symbol to the provider: asked for, and paid, once.
      const wanted = [...new Set(symbols.filter((symbol) => typeof symbol === 'string'))];
      if (wanted.length === 0) return symbols.filter((symbol) => typeof symbol !== 'string');
      const answers = await askTwelveData(wanted, endpoint.parameters(inputs), options, call);
      return inputs.map((input, index) => {
        const symbol = symbols[index];
        return typeof symbol === 'string' ? read(input, symbol, answers(symbol)) : (symbol ?? leftOut(input.symbol));
      });
    },
  };
}
