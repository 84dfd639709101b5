import { describe, it } from 'vitest';
import { memorySink } from '../../src/memory/memorySink.ts';
import { RequestError } from '../../src/model/errors.ts';
import { sinkContract, type SinkUnderTest } from '../../src/testing/sinkContract.ts';

const open = (): Promise<SinkUnderTest<string, string>> =>
  Promise.resolve({
    sink: memorySink<string, string>({
      refuse: (input) => (input.length > 10 ? new RequestError('symbol_too_long', input) : undefined),
    }),
    inputs: ['A', 'BRK.B', 'EUR/USD', '"NULL"\\'],
    valueOf: (input, version) => `${input} ${version}`,
    refused: 'ELEVENCHARS',
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

describe('memorySink, like every sink,', () => {
  for (const { name, run } of sinkContract(open)) it(name, run);
});
