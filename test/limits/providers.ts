import type { PipelineError } from '../../src/model/errors.ts';
import type { FetchCall, Fetched, Provider } from '../../src/model/ports.ts';

type Answer = readonly (number | PipelineError)[];

/** A provider of the lengths of words, which answers after 100 ms what `answer` says, and remembers its calls. */
export function wordLengths({
  maxBatchSize = 120,
  cost = (words: readonly string[]): number => words.length,
  answer = (words: readonly string[], _call: number): Answer | Promise<Answer> => words.map((word) => word.length),
} = {}) {
  const calls: (readonly string[])[] = [];
  const provider: Provider<string, number> & { readonly calls: readonly (readonly string[])[] } = {
    name: 'words',
    maxBatchSize,
    cost,
    calls,
    fetch: async (words, { signal }) => {
      calls.push(words);
      const call = calls.length;
      await new Promise((resolve, reject) => {
        setTimeout(resolve, 100);
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
      return answer(words, call);
    },
  };
  return provider;
}

export const words = (count: number): string[] => Array.from({ length: count }, (_, index) => 'x'.repeat(index + 1));

export function call<I, T>(options: Partial<FetchCall<I, T>> = {}): FetchCall<I, T> {
  return { signal: new AbortController().signal, ...options };
}

/** What became of each input, in short. */
export function summary(fetched: readonly Fetched<unknown>[]): unknown[] {
  return fetched.map((entry) => {
    if (entry.status === 'ok' || entry.status === 'fresh') return entry.value;
    return entry.status === 'failed' ? entry.error.code : entry.reason;
  });
}
