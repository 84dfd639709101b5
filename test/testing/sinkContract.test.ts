import { describe, expect, it } from 'vitest';
import { SinkError } from '../../src/model/errors.ts';
import type { Ledger, Sink } from '../../src/model/ports.ts';
import { memorySink } from '../../src/memory/memorySink.ts';
import { sinkContract } from '../../src/testing/sinkContract.ts';
import type { SinkUnderTest } from '../../src/testing/sinkContract.ts';

type FullSink = Sink<string, string> & { readonly ledger: Ledger<string, string> };

const open =
  (change: (sink: FullSink) => FullSink = (sink) => sink) =>
  (): Promise<SinkUnderTest<string, string>> =>
    Promise.resolve({
      sink: change(memorySink<string, string>()),
      inputs: ['A', 'B', 'C', 'D'],
      valueOf: (input, version) => `${input}${version}`,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });

/** The names of the cases that fail. */
async function failing(change: (sink: FullSink) => FullSink): Promise<string[]> {
  const names: string[] = [];
  for (const { name, run } of sinkContract(open(change))) await run().catch(() => names.push(name));
  return names;
}

describe('sinkContract', () => {
  it.each<[string, (sink: FullSink) => FullSink, string]>([
    [
      'forgets what it stored',
      (sink) => ({ ...sink, current: async (inputs) => inputs.map((input) => ({ status: 'pending', input })) }),
      'stores values, and answers them as fresh afterwards',
    ],
    [
      'writes a batch of a request whenever it comes',
      (sink) => ({ ...sink, write: ({ request: _request, ...batch }, call) => sink.write(batch, call) }),
      'stores a batch of a request once, and then answers what is stored',
    ],
    [
      'does not mind its signal',
      (sink) => ({ ...sink, write: (batch) => sink.write(batch, { signal: new AbortController().signal }) }),
      'rejects what is aborted, and stores nothing of it',
    ],
    [
      'takes the quota for final',
      (sink) => ({
        ...sink,
        ledger: {
          ...sink.ledger,
          stored: async (key, index) => {
            for await (const batch of sink.ledger.batches(key)) if (batch.index === index) return batch;
            return undefined;
          },
        },
      }),
      'tries again what the quota left over, and nothing else',
    ],
    [
      'accepts any list under a key',
      (sink) => ({
        ...sink,
        ledger: {
          ...sink.ledger,
          accept: async ({ inputs, batchSize }) => ({ inputs, batchSize, acceptedAt: new Date(0) }),
        },
      }),
      'accepts a request once, and refuses its key with another list',
    ],
    [
      'refuses everything',
      (sink) => ({ ...sink, refuse: () => new SinkError('symbol_invalid', 'no') }),
      'says which inputs it can never hold',
    ],
  ])('catches a sink that %s', async (_name, change, name) => {
    expect(await failing(change)).toContain(name);
  });

  it('fails a batch whose bad value was taken for good', async () => {
    const cases = sinkContract(async () => ({ ...(await open()()), badValueOf: () => 'bad' }));
    const bad = cases.find(({ name }) => name === 'fails a value that it cannot store, alone')!;
    await expect(bad.run()).rejects.toThrow();
  });
});
