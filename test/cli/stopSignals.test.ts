import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { StopSignal } from '../../src/cli/context.ts';
import { withStopSignals } from '../../src/cli/stopSignals.ts';

const signalsOf = (exits: number[]) => ({
  signals: new EventEmitter(),
  exit: (code: number) => exits.push(code),
});

describe('withStopSignals', () => {
  it.each<[StopSignal, number]>([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('aborts the work on the first %s, and ends the process on the second', async (name, exitCode) => {
    const exits: number[] = [];
    const surroundings = signalsOf(exits);
    let stops = 0;

    const result = await withStopSignals(
      surroundings,
      () => (stops += 1),
      async (signal) => {
        surroundings.signals.emit(name, name);
        const afterFirst = { aborted: signal.aborted, reason: String(signal.reason), exits: [...exits] };
        surroundings.signals.emit(name, name);
        return afterFirst;
      },
    );

    expect(result).toEqual({ aborted: true, reason: 'PipelineError: stopped before the work was done', exits: [] });
    expect(exits).toEqual([exitCode]);
    expect(stops).toBe(1);
  });

  it('leaves no listener behind, also when the work fails', async () => {
    const surroundings = signalsOf([]);

    const work = withStopSignals(
      surroundings,
      () => {},
      async () => Promise.reject(new Error('broken')),
    );

    await expect(work).rejects.toThrow('broken');
    expect(surroundings.signals.eventNames()).toEqual([]);
  });
});
