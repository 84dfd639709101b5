import { setImmediate } from 'node:timers/promises';
import { firstValueFrom } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { PipelineError } from '../../src/model/errors.js';
import { abortable } from '../../src/operators/abortable.js';
import { deferred } from '../support/deferred.js';
describe('abortable', () => {
  it('emits the result and completes, without an abort', async () => {
    let seen;
    const work = abortable((signal) => {
      seen = signal;
      return Promise.resolve(7);
    });
    expect(await firstValueFrom(work)).toBe(7);
    expect(seen?.aborted).toBe(false);
  });
  it('runs anew for each subscription, and not before', async () => {
    const work = vi.fn(async () => 1);
    const observable = abortable(work);
    expect(work).not.toHaveBeenCalled();
    await firstValueFrom(observable);
    await firstValueFrom(observable);
    expect(work).toHaveBeenCalledTimes(2);
  });
  it('errors when the work rejects', async () => {
    await expect(firstValueFrom(abortable(() => Promise.reject(new Error('no'))))).rejects.toThrow('no');
  });
  it('aborts the work when unsubscribed, and drops its result', async () => {
    const { promise, resolve } = deferred();
    let seen;
    const next = vi.fn();
    const subscription = abortable((signal) => {
      seen = signal;
      return promise;
    }).subscribe(next);
    subscription.unsubscribe();
    expect(seen?.aborted).toBe(true);
    expect(PipelineError.isInstance(seen?.reason) && seen.reason.code).toBe('canceled');
    resolve(1);
    await setImmediate();
    expect(next).not.toHaveBeenCalled();
  });
  it('hands on the abort of the outer signal with its reason, and still emits the result', async () => {
    const outer = new AbortController();
    const result = firstValueFrom(
      abortable(
        (signal) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => {
              resolve(signal.reason);
            });
          }),
        outer.signal,
      ),
    );
    outer.abort('stop');
    expect(await result).toBe('stop');
  });
  it('begins with an aborted signal when the outer one is', async () => {
    expect(await firstValueFrom(abortable(async (signal) => signal.aborted, AbortSignal.abort()))).toBe(true);
  });
  it('leaves no listener on the outer signal', async () => {
    const outer = new AbortController().signal;
    const add = vi.spyOn(outer, 'addEventListener');
    const remove = vi.spyOn(outer, 'removeEventListener');
    await firstValueFrom(abortable(async () => 1, outer));
    abortable(() => new Promise(() => undefined), outer)
      .subscribe()
      .unsubscribe();
    const listeners = (calls) => calls.map(([, listener]) => listener);
    expect(add).toHaveBeenCalledTimes(2);
    expect(listeners(remove.mock.calls)).toEqual(listeners(add.mock.calls));
  });
});
