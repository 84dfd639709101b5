import { describe, expect, it } from 'vitest';
import { orAborted } from '../../src/flow/orAborted.ts';
import { deferred } from '../support/deferred.ts';

describe('orAborted', () => {
  it('is what the task comes to', async () => {
    const { signal } = new AbortController();
    await expect(orAborted(Promise.resolve('done'), signal)).resolves.toBe('done');
    await expect(orAborted(Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken');
  });

  it('ends with the reason of the signal, whatever the task comes to after that', async () => {
    const controller = new AbortController();
    const task = deferred();
    const waiting = orAborted(task.promise, controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    task.resolve();
    await expect(orAborted(new Promise(() => undefined), controller.signal)).rejects.toThrow('enough');
  });
});
