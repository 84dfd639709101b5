import { config, Subject } from 'rxjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { relayTo } from '../../src/operators/relayTo.js';
describe('relayTo', () => {
  afterEach(() => {
    config.onUnhandledError = null;
  });
  it('hands values to the observer', () => {
    const seen = [];
    const subject = new Subject();
    subject.subscribe((value) => seen.push(value));
    const emit = relayTo(subject);
    emit(1);
    emit(2);
    expect(seen).toEqual([1, 2]);
  });
  it('does nothing without an observer', () => {
    expect(() => {
      relayTo(undefined)(1);
    }).not.toThrow();
  });
  it('reports what the observer throws as unhandled, and goes on', async () => {
    const reported = [];
    config.onUnhandledError = (error) => reported.push(error);
    let calls = 0;
    const emit = relayTo({
      next() {
        calls += 1;
        throw new Error('user');
      },
    });
    expect(() => {
      emit(1);
      emit(2);
    }).not.toThrow();
    expect(calls).toBe(2);
    await vi.waitFor(() => {
      expect(reported).toEqual([new Error('user'), new Error('user')]);
    });
  });
});
