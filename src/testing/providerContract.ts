import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import type { Provider } from '../model/ports.ts';
import { providerCases, type Named } from './providerCases.ts';

/**
 * How the provider's service behaves while a case runs: it serves, never answers, refuses the call for its rate, is down
 * (5xx), refuses the key, answers with a page that is no JSON, or answers as it serves, but about something else than what
 * it was asked: another symbol, another pair.
 */
export type ProviderScenario =
  'serves' | 'hangs' | 'rate-limited' | 'down' | 'unauthorized' | 'malformed' | 'mismatched';

const everyScenario = [
  'serves',
  'hangs',
  'rate-limited',
  'down',
  'unauthorized',
  'malformed',
  'mismatched',
] as const satisfies readonly ProviderScenario[];

/** A provider in front of a service that behaves as the scenario asks. */
export interface ProviderUnderTest<I, T> extends AsyncDisposable {
  readonly provider: Provider<I, T>;
  /** At least three different inputs it serves. */
  readonly known: readonly I[];
  /** An input its service does not know. */
  readonly unknown: I;
  /** Texts that no error may contain, such as the API key. Default: none. */
  readonly secrets?: readonly string[] | undefined;
}

/** A case that every provider has to pass: `run` rejects with what is wrong. */
export interface ContractCase {
  readonly name: string;
  run(): Promise<void>;
}

export interface ProviderContractOptions {
  /** The scenarios that `open` can bring about; the cases of the others are left out. Default: all. */
  scenarios?: readonly ProviderScenario[] | undefined;
}

type Open<I, T> = (scenario: ProviderScenario) => Promise<ProviderUnderTest<I, T>>;

const checkArguments = defineOptions<{ open: (...scenario: never[]) => Promise<unknown> }>('providerContract')({
  open: callback<(...scenario: never[]) => Promise<unknown>>(),
});

const resolveOptions = defineOptions<ProviderContractOptions>('providerContract')({
  scenarios: z.array(z.enum(everyScenario)).default([...everyScenario]),
});

/**
 * The cases that every `Provider` has to pass, as data for any test runner. Each opens a provider of its own, in front of
 * a service that behaves as the scenario asks, and closes it.
 *
 * @example
 * ```ts
 * import { recordedQuotes } from 'fintrack-pipelines';
 * import { providerContract } from 'fintrack-pipelines/testing';
 *
 * const stock = (symbol: string) => ({ symbol, assetType: 'STOCK' as const });
 * const open = async () => ({
 *   provider: recordedQuotes(),
 *   known: [stock('AAPL'), stock('MSFT'), stock('IBM')],
 *   unknown: stock('NOPE'),
 *   [Symbol.asyncDispose]: async () => {},
 * });
 * const cases = providerContract(open, { scenarios: ['serves'] }); // no network: nothing to be down, and no key
 *
 * // With vitest: for (const { name, run } of cases) it(name, run);
 * for (const { run } of cases) await run();
 * console.log(cases[0]?.name);
 * // has a name and takes at least one input a call
 * ```
 */
export function providerContract<I extends Named, T extends Named>(
  open: Open<I, T>,
  options: ProviderContractOptions = {},
): readonly ContractCase[] {
  checkArguments({ open });
  const { scenarios } = resolveOptions(options);
  return providerCases()
    .filter(({ scenario }) => scenarios.includes(scenario))
    .map(({ name, scenario, check }) => ({
      name,
      run: async () => {
        const opened = await open(scenario);
        try {
          await check(opened);
        } finally {
          await opened[Symbol.asyncDispose]();
        }
      },
    }));
}
