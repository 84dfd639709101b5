import { z } from 'zod';
import { defineOptions } from '../../model/defineOptions.ts';
import { ProviderError } from '../../model/errors.ts';
import type { Provider } from '../../model/ports.ts';
import { pause } from '../../flow/pause.ts';

export interface RecordedOptions {
  /** How long each answer takes, in milliseconds. Default: 0. */
  latencyMs?: number | undefined;
}

/** What the recorded providers have in common; `read` answers undefined for a symbol that is not recorded. */
export function recordedProvider<I extends { readonly symbol: string }, T>(
  owner: string,
  options: RecordedOptions,
  port: Pick<Provider<I, T>, 'maxBatchSize' | 'cost'> & { readonly read: (input: I) => T | undefined },
): Provider<I, T> {
  const { latencyMs } = defineOptions<RecordedOptions>(owner)({ latencyMs: z.number().min(0).default(0) })(options);
  const { read, ...rest } = port;
  return {
    name: 'recorded',
    ...rest,
    async fetch(inputs, { signal }) {
      await pause(latencyMs, signal);
      return inputs.map((input) => read(input) ?? notRecorded(input.symbol));
    },
  };
}

function notRecorded(symbol: string): ProviderError {
  return new ProviderError('symbol_unknown', `recorded: ${symbol}: no prices recorded`);
}
