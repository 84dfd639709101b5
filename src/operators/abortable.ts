import { Observable } from 'rxjs';
import { PipelineError } from '../model/errors.ts';

/**
 * Runs asynchronous work once per subscription and emits its result.
 *
 * Unsubscribing before the result aborts the work's signal; so does `outer`, whose reason is passed on. Only the first
 * drops the result: what the work still answers after `outer` was aborted is emitted.
 */
export function abortable<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
  outer?: AbortSignal,
): Observable<Result> {
  return new Observable((subscriber) => {
    const controller = new AbortController();
    let settled = false;
    const abort = (): void => {
      controller.abort(outer?.reason);
    };
    if (outer?.aborted === true) abort();
    // Not AbortSignal.any: its result would stay attached to a signal that lives as long as the whole request.
    else outer?.addEventListener('abort', abort, { once: true });
    subscriber.add(() => {
      outer?.removeEventListener('abort', abort);
      if (!settled) controller.abort(new PipelineError('canceled', 'unsubscribed'));
    });
    work(controller.signal).then(
      (result) => {
        settled = true;
        subscriber.next(result);
        subscriber.complete();
      },
      (error: unknown) => {
        settled = true;
        subscriber.error(error);
      },
    );
  });
}
