import { describe, expect, it } from 'vitest';
import { ProviderError, type PipelineError } from '../../src/model/errors.ts';
import type { Provider } from '../../src/model/ports.ts';
import { providerContract, type ProviderScenario } from '../../src/testing/providerContract.ts';

interface Thing {
  readonly symbol: string;
}

const known = ['A', 'B', 'C'].map((symbol) => ({ symbol }));

const good: Provider<Thing, Thing> = {
  name: 'good',
  maxBatchSize: 10,
  cost: (inputs) => inputs.length,
  fetch: async (inputs, { signal }) => {
    signal.throwIfAborted();
    return inputs.map((input) =>
      input.symbol === 'NOPE' ? new ProviderError('symbol_unknown', 'good: NOPE: unknown') : input,
    );
  },
};

/** The names of the cases that a provider fails. */
async function failedBy(changes: Partial<Provider<Thing, Thing>>, secrets: string[] = []): Promise<string[]> {
  let open = 0;
  const cases = providerContract(
    async () => {
      open += 1;
      const close = async () => {
        open -= 1;
      };
      return {
        provider: { ...good, ...changes },
        known,
        unknown: { symbol: 'NOPE' },
        secrets,
        [Symbol.asyncDispose]: close,
      };
    },
    { scenarios: ['serves'] },
  );
  const failed: string[] = [];
  for (const { name, run } of cases) await run().catch(() => failed.push(name));
  expect(open).toBe(0);
  return failed;
}

describe('providerContract', () => {
  it('passes a good provider', async () => {
    expect(await failedBy({})).toEqual([]);
  });

  it('leaves out the cases of scenarios that cannot be brought about', () => {
    const open = () => Promise.reject(new Error('not opened'));
    expect(providerContract(open).length).toBeGreaterThan(providerContract(open, { scenarios: ['serves'] }).length);
    expect(providerContract(open, { scenarios: ['hangs'] })).toHaveLength(1);
  });

  it.each<[string, Partial<Provider<Thing, Thing>>, string]>([
    ['no name', { name: '' }, 'has a name and takes at least one input a call'],
    ['no room for an input', { maxBatchSize: 0 }, 'has a name and takes at least one input a call'],
    [
      'an order of its own',
      { fetch: async (inputs) => [...inputs].sort((a, b) => (a.symbol < b.symbol ? -1 : 1)) },
      'answers several inputs in their order, whatever it is',
    ],
    [
      'repeated inputs merged',
      { fetch: async (inputs) => [...new Set(inputs)] },
      'answers a repeated input as often as it stands there',
    ],
    [
      'a whole call failed by one symbol',
      {
        fetch: async (inputs) => {
          if (inputs.some(({ symbol }) => symbol === 'NOPE')) throw new ProviderError('symbol_unknown', 'good: NOPE');
          return inputs;
        },
      },
      'fails an unknown input alone',
    ],
    ['an unknown symbol served', { fetch: async (inputs) => inputs }, 'fails an unknown input alone'],
    ['a time limit of none', { timeoutMs: 0 }, 'has a name and takes at least one input a call'],
    ['a price for nothing', { cost: () => 1 }, 'answers nothing to nothing, at no cost'],
    [
      'a fraction of a credit',
      { cost: (inputs) => inputs.length / 2 },
      'costs whole credits, and never less for more inputs',
    ],
    [
      'a deaf ear for the signal',
      { fetch: (inputs) => good.fetch(inputs, { signal: new AbortController().signal, report: () => {} }) },
      'rejects with the reason of a signal that is aborted before',
    ],
    [
      'a report of half a credit',
      {
        fetch: async (inputs, call) => {
          call.report({ left: 0.5 });
          return good.fetch(inputs, call);
        },
      },
      'reports only whole numbers of credits',
    ],
  ])('finds %s', async (_, changes, name) => {
    expect(await failedBy(changes)).toContain(name);
  });

  it.each<[ProviderScenario, PipelineError, string]>([
    [
      'unauthorized',
      new ProviderError('unauthorized', 'good: key refused', { retryable: true }),
      'rejects for good when its key is refused',
    ],
    ['unauthorized', new ProviderError('provider_rejected', 'good: no'), 'rejects for good when its key is refused'],
    ['malformed', new ProviderError('internal', 'good: Unexpected token <'), 'rejects when the answer is no JSON'],
  ])('finds, when it is %s, a rejection with %s', async (scenario, error, name) => {
    const provider = { ...good, fetch: () => Promise.reject(error) };
    const close = () => Promise.resolve();
    const open = async () => ({ provider, known, unknown: { symbol: 'NOPE' }, [Symbol.asyncDispose]: close });
    const [found] = providerContract(open, { scenarios: [scenario] });
    expect(found!.name).toBe(name);
    await expect(found!.run()).rejects.toThrow();
  });

  it('finds a secret in an error', async () => {
    expect(await failedBy({}, ['unknown'])).toEqual(['fails an unknown input alone']);
  });
});
