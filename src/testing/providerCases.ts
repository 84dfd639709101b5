import assert from 'node:assert/strict';
import { PipelineError } from '../model/errors.ts';
import type { QuotaSeen } from '../model/ports.ts';
import type { ProviderScenario, ProviderUnderTest } from './providerContract.ts';

/** Inputs and values carry their symbol, and their asset type when they have one: so a case sees what belongs to what. */
export interface Named {
  readonly symbol: string;
  readonly assetType?: string | undefined;
}

type Opened = ProviderUnderTest<Named, Named>;

export interface ProviderCase {
  readonly name: string;
  readonly scenario: ProviderScenario;
  readonly check: (opened: Opened) => Promise<void>;
}

/** The cases of `providerContract`, each with the scenario it needs. */
export function providerCases(): readonly ProviderCase[] {
  return cases;
}

const cases: readonly ProviderCase[] = [
  {
    name: 'has a name and takes at least one input a call',
    scenario: 'serves',
    check: async ({ provider, known }) => {
      assert.match(provider.name, /^\S+$/);
      assert.ok(Number.isInteger(provider.maxBatchSize) && provider.maxBatchSize >= 1, 'maxBatchSize');
      assert.ok((provider.timeoutMs ?? 1) > 0, 'timeoutMs');
      assert.ok(new Set(known.map(keyOf)).size >= 3, 'the cases need three different known inputs');
      await fetchValues({ provider, known: known.slice(0, 1) });
    },
  },
  {
    name: 'answers several inputs in their order, whatever it is',
    scenario: 'serves',
    check: async ({ provider, known }) => {
      await fetchValues({ provider, known });
      await fetchValues({ provider, known: [...known].reverse() });
    },
  },
  {
    name: 'answers nothing to nothing, at no cost',
    scenario: 'serves',
    check: async ({ provider }) => {
      assert.deepEqual(await provider.fetch([], call()), []);
      assert.equal(provider.cost([]), 0);
    },
  },
  {
    name: 'answers a repeated input as often as it stands there',
    scenario: 'serves',
    check: async ({ provider, known: [first, second] }) => {
      assert.ok(first !== undefined && second !== undefined);
      await fetchValues({ provider, known: [first, second, first] });
    },
  },
  {
    name: 'fails an unknown input alone',
    scenario: 'serves',
    check: async ({ provider, known, unknown, secrets }) => {
      const [first, ...rest] = known;
      assert.ok(first !== undefined);
      const answers = await provider.fetch([first, unknown, ...rest], call());
      assert.equal(answers.length, known.length + 1);
      checkError(answers[1], 'symbol_unknown', { provider, secrets });
      checkValues([first, ...rest], [answers[0], ...answers.slice(2)]);
      const [alone] = await provider.fetch([unknown], call());
      checkError(alone, 'symbol_unknown', { provider, secrets });
    },
  },
  {
    name: 'costs whole credits, and never less for more inputs',
    scenario: 'serves',
    check: async ({ provider, known, unknown }) => {
      const inputs = [...known, unknown];
      const costs = inputs.map((_, index) => provider.cost(inputs.slice(0, index + 1)));
      assert.ok(costs.every((cost) => Number.isInteger(cost) && cost >= 1));
      assert.deepEqual(
        costs,
        [...costs].sort((a, b) => a - b),
      );
      await fetchValues({ provider, known });
    },
  },
  {
    name: 'keeps calls side by side apart',
    scenario: 'serves',
    check: async ({ provider, known }) => {
      await Promise.all(known.map((input) => fetchValues({ provider, known: [input] })));
    },
  },
  {
    name: 'reports only whole numbers of credits',
    scenario: 'serves',
    check: async ({ provider, known }) => {
      const reports: QuotaSeen[] = [];
      await provider.fetch(known, { ...call(), report: (seen) => reports.push(seen) });
      const numbers = reports.flatMap(({ used = 0, left = 0, resetMs = 0 }) => [used, left, resetMs]);
      assert.ok(numbers.every((count) => Number.isInteger(count) && count >= 0));
    },
  },
  {
    name: 'rejects with the reason of a signal that is aborted before',
    scenario: 'serves',
    check: async ({ provider, known }) => {
      const reason = new Error('aborted by the contract');
      await assert.rejects(provider.fetch(known, call(AbortSignal.abort(reason))), (error) => error === reason);
    },
  },
  {
    name: 'rejects with the reason of a signal that is aborted during the call',
    scenario: 'hangs',
    check: async ({ provider, known }) => {
      const controller = new AbortController();
      const reason = new Error('aborted by the contract');
      const answer = provider.fetch(known, call(controller.signal));
      setImmediate(() => {
        controller.abort(reason);
      });
      await assert.rejects(answer, (error) => error === reason);
    },
  },
  {
    name: 'rejects with a RateLimitError when it is refused for its rate',
    scenario: 'rate-limited',
    check: async ({ provider, known, secrets }) => {
      const error = checkError(await rejection(provider.fetch(known, call())), 'rate_limited', { provider, secrets });
      assert.equal(error.name, 'RateLimitError');
      assert.equal(error.retryable, true);
      assert.ok((error.retryAfterMs ?? 0) >= 0, 'retryAfterMs');
    },
  },
  {
    name: 'rejects with a retryable error when the service is down',
    scenario: 'down',
    check: async ({ provider, known, secrets }) => {
      const error = await rejection(provider.fetch(known, call()));
      assert.equal(checkError(error, 'provider_unavailable', { provider, secrets }).retryable, true);
    },
  },
  {
    name: 'rejects for good when its key is refused',
    scenario: 'unauthorized',
    check: async ({ provider, known, secrets }) => {
      const error = await rejection(provider.fetch(known, call()));
      assert.equal(checkError(error, 'unauthorized', { provider, secrets }).retryable, false);
    },
  },
  {
    name: 'rejects when the answer is no JSON',
    scenario: 'malformed',
    check: async ({ provider, known, secrets }) => {
      checkError(await rejection(provider.fetch(known, call())), 'response_malformed', { provider, secrets });
    },
  },
  {
    name: 'takes no answer about something else for the one it asked for',
    scenario: 'mismatched',
    check: async ({ provider, known, secrets }) => {
      for (const inputs of [known.slice(0, 1), known]) {
        const answers = await provider.fetch(inputs, call());
        assert.equal(answers.length, inputs.length);
        for (const answer of answers) {
          assert.equal(checkError(answer, 'symbol_mismatch', { provider, secrets }).retryable, false);
        }
      }
    },
  },
];

function call(signal: AbortSignal = new AbortController().signal): {
  signal: AbortSignal;
  report(seen: QuotaSeen): void;
} {
  return { signal, report: () => undefined };
}

async function fetchValues({ provider, known }: Pick<Opened, 'provider' | 'known'>): Promise<void> {
  checkValues(known, await provider.fetch(known, call()));
}

function checkValues(inputs: readonly Named[], answers: readonly unknown[]): void {
  const error = answers.find((answer) => PipelineError.isInstance(answer));
  if (error !== undefined) throw new assert.AssertionError({ message: `expected values, got ${String(error)}` });
  assert.deepEqual((answers as readonly Named[]).map(keyOf), inputs.map(keyOf));
}

function keyOf({ symbol, assetType = '' }: Named): string {
  return `${assetType} ${symbol}`;
}

function checkError(error: unknown, code: string, { provider, secrets = [] }: Partial<Opened>): PipelineError {
  assert.ok(PipelineError.isInstance(error), `expected an error of the library, got ${String(error)}`);
  assert.equal(error.code, code, error.message);
  assert.ok(error.message.startsWith(`${provider?.name ?? ''}: `), `who failed is not said first: ${error.message}`);
  const told = [error.message, String(error.stack), String(error.cause)].join('\n');
  assert.ok(!secrets.some((secret) => told.includes(secret)), 'the error tells a secret');
  return error;
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new assert.AssertionError({ message: `expected a rejection, got ${JSON.stringify(value)}` });
    },
    (error: unknown) => error,
  );
}
