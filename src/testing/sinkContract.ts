import { callback, defineOptions } from '../model/defineOptions.ts';
import type { Ledger, Sink } from '../model/ports.ts';
import type { ContractCase } from './providerContract.ts';
import { sinkCases } from './sinkCases.ts';

/** A sink with nothing in it, and what a case needs to fill it. */
export interface SinkUnderTest<I, T> extends AsyncDisposable {
  readonly sink: Sink<I, T> & { readonly ledger: Ledger<I, T> };
  /** At least four different inputs that it can hold. */
  readonly inputs: readonly I[];
  /** A good value of an input; another one for each version, 1 or 2. */
  valueOf(input: I, version: number): T;
  /** A value of an input that the sink cannot store. Default: none, the cases of bad values are left out. */
  badValueOf?(input: I): T;
  /** An input that the sink refuses. Default: none, its case is left out. */
  readonly refused?: I | undefined;
}

const checkArguments = defineOptions<{ open: () => Promise<unknown> }>('sinkContract')({
  open: callback<() => Promise<unknown>>(),
});

/**
 * The cases that every `Sink` with a ledger has to pass, as data for any test runner. Each opens an empty sink of its own
 * and closes it.
 *
 * @example
 * ```ts
 * import { memorySink } from 'fintrack-pipelines';
 * import { sinkContract } from 'fintrack-pipelines/testing';
 *
 * const open = async () => ({
 *   sink: memorySink<string, string>(),
 *   inputs: ['A', 'B', 'C', 'D'],
 *   valueOf: (input: string, version: number) => `${input}${version}`,
 *   [Symbol.asyncDispose]: async () => {},
 * });
 * const cases = sinkContract(open);
 *
 * // With vitest: for (const { name, run } of cases) it(name, run);
 * for (const { run } of cases) await run();
 * console.log(cases[0]?.name);
 * // stores values, and answers them as fresh afterwards
 * ```
 */
export function sinkContract<I, T>(open: () => Promise<SinkUnderTest<I, T>>): readonly ContractCase[] {
  checkArguments({ open });
  return sinkCases<I, T>().map(({ name, check }) => ({
    name,
    run: async () => {
      const opened = await open();
      try {
        await check(opened);
      } finally {
        await opened[Symbol.asyncDispose]();
      }
    },
  }));
}
