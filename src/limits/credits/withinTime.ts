import { PipelineError } from '../../model/errors.ts';

/** A store that answers later than this is taken for one that never will. */
export const storeTimeoutMs = 10_000;

/**
 * What `ask` answers within the time limit; a rejection otherwise, and its signal aborts. `tooLate` gets an answer that comes
 * after that all the same.
 */
export async function withinTime<Answer>(
  timeoutMs: number,
  what: string,
  ask: (signal: AbortSignal) => Promise<Answer>,
  tooLate: (answer: Answer) => void = () => undefined,
): Promise<Answer> {
  const controller = new AbortController();
  const { promise: timedOut, reject } = withRejection();
  const timer = setTimeout(() => {
    const error = new PipelineError('timeout', `${what}: no answer within ${timeoutMs} ms`, { retryable: true });
    controller.abort(error);
    reject(error);
  }, timeoutMs);
  const answered = ask(controller.signal);
  try {
    return await Promise.race([answered, timedOut]);
  } finally {
    clearTimeout(timer);
    if (controller.signal.aborted) answered.then(tooLate, () => undefined);
  }
}

function withRejection(): { readonly promise: Promise<never>; readonly reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<never>((_resolve, rejectPromise) => {
    reject = rejectPromise;
  });
  return { promise, reject };
}
