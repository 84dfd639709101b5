import { beforeEach, describe, expect, it, vi } from 'vitest';
import { untilThere } from '../../../src/cli/worker/untilThere.ts';
import { PipelineError, SinkError } from '../../../src/model/errors.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

const away = new SinkError('database_unavailable', 'PostgreSQL at db:\nno connection', { retryable: true });

function wait(attempt: () => Promise<string>) {
  const lines: string[] = [];
  const controller = new AbortController();
  const log = (line: string): void => void lines.push(line);
  const result = untilThere(attempt, { what: 'PostgreSQL', signal: controller.signal, log });
  const settled = result.then(
    (value) => value,
    (error: unknown) => error,
  );
  return { lines, controller, settled };
}

describe('untilThere', () => {
  it('tries until it succeeds, with growing pauses and a line for each try that failed', async () => {
    const times: number[] = [];
    const startedAt = Date.now();
    const { lines, settled } = wait(() => {
      times.push(Date.now() - startedAt);
      return times.length < 8 ? Promise.reject(away) : Promise.resolve('there');
    });
    await vi.advanceTimersByTimeAsync(60_000);

    expect(await settled).toBe('there');
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    expect(lines).toHaveLength(7);
    expect(lines[0]).toBe('waiting for PostgreSQL: try 1 failed: PostgreSQL at db: no connection; next in 500 ms');
  });

  it.each([
    ['an error that does not mend itself', new SinkError('database_not_ready', 'no tables')],
    ['a bug', new TypeError('oh')],
  ])('ends at once with %s', async (_, error) => {
    const { lines, settled } = wait(() => Promise.reject(error));

    expect(await settled).toBe(error);
    expect(lines).toEqual([]);
  });

  it('ends at once when it is told to stop, and leaves no timer', async () => {
    const { controller, settled } = wait(() => Promise.reject(away));
    await vi.advanceTimersByTimeAsync(600);
    const reason = new PipelineError('canceled', 'stopped');
    controller.abort(reason);

    expect(await settled).toBe(reason);
    expect(vi.getTimerCount()).toBe(0);
  });
});
