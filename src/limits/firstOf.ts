import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import { OptionsError, ProviderError, type ErrorCode } from '../model/errors.ts';
import { fetcherCheck } from '../model/portChecks.ts';
import type { FetchCall, Fetched, Fetcher } from '../model/ports.ts';

const checkArguments = defineOptions<{ fetchers: readonly Fetcher<unknown, unknown>[] }>('firstOf')({
  fetchers: z.array(fetcherCheck),
});

/** What another provider may serve all the same. */
const failoverCodes = new Set<ErrorCode>([
  'provider_unavailable',
  'timeout',
  'response_malformed',
  'symbol_mismatch',
  'not_in_plan',
  'asset_type_unknown',
  'unauthorized',
]);

/**
 * Makes one `Fetcher` of several, each with a provider, a key and a limiter of its own: what the first cannot serve, the next
 * is asked for. The `provider` of an outcome names the one it came from.
 *
 * - The next is asked for what failed as `provider_unavailable`, `timeout` or `response_malformed` (after the retries of the
 *   one before), `symbol_mismatch`, `not_in_plan`, `asset_type_unknown` or `unauthorized`, and for what was skipped because
 *   the quota is gone.
 *   A symbol that a provider does not know is not asked of another: under the same name that may be something else.
 * - All but the last are told to fail fast: while their circuit is open, nothing waits for them. A wait for credits is no
 *   failure.
 * - When none serves an input, its outcome is the most hopeful one: skipped, then failed and retryable, then the last.
 * - An estimate is that of the first; the others are asked for what is not foreseen.
 * - Signal, deadline, lane, request and the functions of the call (`settle`, `onWait`, `onCall`) reach every fetcher.
 *
 * Like every fetcher it rejects only with what one of the call's own functions throws.
 *
 * @example
 * ```ts
 * import { creditLimiter, firstOf, limited, ProviderError } from 'fintrack-pipelines';
 * import type { Provider } from 'fintrack-pipelines';
 *
 * const cheap: Provider<string, number> = {
 *   name: 'cheap',
 *   maxBatchSize: 10,
 *   cost: () => 1,
 *   fetch: async (words) =>
 *     words.map((word) => (word === 'tea' ? 3 : new ProviderError('not_in_plan', `cheap: ${word}: not in the plan`))),
 * };
 * const dear: Provider<string, number> = { ...cheap, name: 'dear', fetch: async (words) => words.map(({ length }) => length) };
 * const fetcher = firstOf(
 *   limited(cheap, creditLimiter({ credits: 8 })),
 *   limited(dear, creditLimiter({ credits: 55 })),
 * );
 *
 * for (const entry of await fetcher.fetch(['tea', 'champagne'], { signal: new AbortController().signal })) {
 *   if (entry.status === 'ok') console.log(entry.provider, entry.value);
 * }
 * // cheap 3
 * // dear 9
 * ```
 */
export function firstOf<I, T>(...fetchers: readonly Fetcher<I, T>[]): Fetcher<I, T> {
  if (fetchers.length === 0) throw new OptionsError('firstOf: expected at least one fetcher, got none');
  checkArguments({ fetchers });
  const name = fetchers.map((fetcher) => fetcher.name).join(', ');
  const estimate = fetchers[0]?.estimate?.bind(fetchers[0]);
  return {
    name,
    fetch: async (inputs, call) => {
      const endsAt = performance.now() + (call.deadlineMs ?? Infinity);
      const results: (Fetched<T> | undefined)[] = inputs.map(() => undefined);
      for (const [position, fetcher] of fetchers.entries()) {
        const open = [...inputs.keys()].filter((index) => isOpen(results[index]));
        if (open.length === 0) break;
        const asked = open.flatMap((index) => inputs.slice(index, index + 1));
        const isLast = position === fetchers.length - 1;
        const fetched = await ask(fetcher, asked, {
          ...call,
          ...(call.deadlineMs !== undefined && { deadlineMs: endsAt - performance.now() }),
          failFast: call.failFast === true || !isLast,
        });
        for (const [nth, index] of open.entries()) results[index] = moreHopeful(results[index], fetched[nth]);
      }
      return results.filter((result) => result !== undefined);
    },
    health: () => fetchers.flatMap((fetcher) => fetcher.health?.() ?? []),
    refresh: async () => {
      await Promise.all(fetchers.map(async (fetcher) => fetcher.refresh?.()));
    },
    ...(estimate && { estimate }),
  };
}

async function ask<I, T>(
  fetcher: Fetcher<I, T>,
  inputs: readonly I[],
  call: FetchCall<I, T>,
): Promise<readonly Fetched<T>[]> {
  const fetched = await fetcher.fetch(inputs, call);
  if (fetched.length === inputs.length) return fetched;
  const message = `${fetcher.name}: answered ${fetched.length} entries for ${inputs.length} inputs`;
  return inputs.map(() => ({ status: 'failed', error: new ProviderError('response_malformed', message) }));
}

/** Whether the next fetcher is asked. */
function isOpen(result: Fetched<unknown> | undefined): boolean {
  if (result === undefined) return true;
  if (result.status === 'skipped') return result.reason === 'quota';
  return result.status === 'failed' && failoverCodes.has(result.error.code);
}

function moreHopeful<T>(before: Fetched<T> | undefined, now: Fetched<T> | undefined): Fetched<T> | undefined {
  return before === undefined || hope(now) >= hope(before) ? now : before;
}

/** What was skipped is tried again with the next run, what failed for a while perhaps, and the rest never. */
function hope(result: Fetched<unknown> | undefined): number {
  if (result?.status === 'skipped') return 2;
  if (result?.status === 'failed') return result.error.retryable ? 1 : 0;
  return 3;
}
