/**
 * The promise's result; the signal's reason as soon as it aborts; and `tooLate()` after `timeoutMs`. What the promise does
 * afterwards is the caller's to see to.
 */
export async function inTime<Result>(
  promise: Promise<Result>,
  timeoutMs: number,
  signal: AbortSignal,
  tooLate: () => Error,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  let abort = (): void => undefined;
  const ended = new Promise<never>((_resolve, reject) => {
    abort = () => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    timer = setTimeout(() => {
      reject(tooLate());
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, ended]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
