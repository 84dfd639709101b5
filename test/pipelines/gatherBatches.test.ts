import { Subject } from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { memorySink } from '../../src/memory/memorySink.ts';
import { OptionsError, PipelineError, SinkError } from '../../src/model/errors.ts';
import type { Ledger, Sink } from '../../src/model/ports.ts';
import type { RunEvent } from '../../src/model/runEvents.ts';
import { gatherBatches, type GatherBatchesOptions } from '../../src/pipelines/gatherBatches.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

const away = new SinkError('database_unavailable', 'away', { retryable: true });

/** A sink whose ledger counts the questions, and fails those that `fault` says. */
function open(fault: () => Error | undefined = () => undefined) {
  const sink = memorySink<string, string>();
  let questions = 0;
  const storedNumbers: Ledger<string, string>['storedNumbers'] = async (...of) => {
    questions += 1;
    const error = fault();
    if (error !== undefined) throw error;
    return sink.ledger.storedNumbers(...of);
  };
  const write = async (index: number, status: 'ok' | 'quota' = 'ok') => {
    const input = String(index);
    const outcome =
      status === 'ok'
        ? ({ status, input, value: input } as const)
        : ({ status: 'skipped', input, reason: status } as const);
    await sink.write({ request: 'r', index, outcomes: [outcome] });
  };
  const watched: Sink<string, string> = { ...sink, ledger: { ...sink.ledger, storedNumbers } };
  return { sink: watched, write, questions: () => questions };
}

/** Gathers, and keeps what comes. */
function gather(
  sink: Sink<string, string>,
  batches: number,
  options: Partial<GatherBatchesOptions<string, string>> = {},
) {
  const { signal = new AbortController().signal } = options.delivery ?? {};
  const inputs = Array.from({ length: batches }, (_, index) => String(index));
  const got: string[] = [];
  const subscription = gatherBatches({
    sink,
    ...options,
    delivery: { id: 'r', inputs, batchSize: 1, signal },
  }).subscribe({
    next: ({ index, outcomes }) => got.push(`${String(index)} ${outcomes.map(({ status }) => status).join()}`),
    error: (error: PipelineError) => got.push(`${error.code}: ${error.message}`),
    complete: () => got.push('complete'),
  });
  return { got, subscription };
}

describe('gatherBatches', () => {
  it('completes at once when there is no batch', async () => {
    const { sink } = open();
    const { got } = gather(sink, 0);
    await vi.advanceTimersByTimeAsync(0);
    expect(got).toEqual(['complete']);
  });

  it('emits what is there at once, and the rest as it comes, each once', async () => {
    const { sink, write } = open();
    await write(2);
    const { got } = gather(sink, 4);
    await vi.advanceTimersByTimeAsync(0);
    expect(got).toEqual(['2 ok']);
    await write(3);
    await write(0);
    await vi.advanceTimersByTimeAsync(250);
    expect(got).toEqual(['2 ok', '0 ok', '3 ok']);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(got).toHaveLength(3);
    await write(1);
    await vi.advanceTimersByTimeAsync(250);
    expect(got.slice(3)).toEqual(['1 ok', 'complete']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('takes a batch that the quota has ended as it stands, and none of another request', async () => {
    const { sink, write } = open();
    await write(0, 'quota');
    await sink.write({ request: 'other', index: 1, outcomes: [{ status: 'ok', input: '1', value: '1' }] }, noSignal);
    const { got } = gather(sink, 2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(got).toEqual(['0 skipped']);
    await sink.ledger?.storeFailed('r', { index: 1, inputs: ['1'], error: new PipelineError('timeout', 'late') });
    await vi.advanceTimersByTimeAsync(250);
    expect(got.slice(1)).toEqual(['1 failed', 'complete']);
  });

  it('leaves alone what the ledger has beyond the request', async () => {
    const { sink, write } = open();
    await write(7);
    await write(0);
    const { got } = gather(sink, 1);
    await vi.advanceTimersByTimeAsync(0);
    expect(got).toEqual(['0 ok', 'complete']);
  });

  it('asks every 250 ms, and waits for a database that is away, ever longer up to 5 s', async () => {
    let isAway = false;
    const { sink, write, questions } = open(() => (isAway ? away : undefined));
    const { got } = gather(sink, 1, { patienceMs: 60_000 });
    await vi.advanceTimersByTimeAsync(9_900);
    expect(questions()).toBe(40);
    isAway = true;
    await vi.advanceTimersByTimeAsync(300_000);
    expect(questions()).toBeLessThan(40 + 70);
    isAway = false;
    await vi.advanceTimersByTimeAsync(5_000);
    // The time without a database was nobody's idleness.
    expect(got).toEqual([]);
    await write(0);
    await vi.advanceTimersByTimeAsync(250);
    expect(got).toEqual(['0 ok', 'complete']);
  });

  it('ends with what no waiting mends', async () => {
    const { sink } = open(() => new SinkError('database_error', 'no such table'));
    const { got } = gather(sink, 1);
    await vi.advanceTimersByTimeAsync(0);
    expect(got).toEqual(['database_error: no such table']);
  });

  it('gives the request back when no batch came for so long, and not while some do', async () => {
    const { sink, write } = open();
    const { got } = gather(sink, 4, { patienceMs: 60_000 });
    for (const index of [0, 1, 2]) {
      await vi.advanceTimersByTimeAsync(59_000);
      await write(index);
    }
    await vi.advanceTimersByTimeAsync(60_000);
    expect(got).toEqual(['0 ok', '1 ok', '2 ok']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(got[3]).toMatch(/^timeout: request r: 1 batches are missing/);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(['before', 'during'])('errors with the reason of the signal, aborted %s', async (when) => {
    const { sink } = open();
    const controller = new AbortController();
    const abort = () => {
      controller.abort(new PipelineError('canceled', 'the partition is gone', { retryable: true }));
    };
    if (when === 'before') abort();
    const { got } = gather(sink, 1, { delivery: { id: 'r', inputs: [], batchSize: 1, signal: controller.signal } });
    if (when === 'during') {
      await vi.advanceTimersByTimeAsync(100);
      abort();
    }
    expect(got).toEqual(['canceled: the partition is gone']);
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('asks nobody any more once it is unsubscribed', async () => {
    const { sink, questions } = open();
    const { subscription, got } = gather(sink, 1);
    await vi.advanceTimersByTimeAsync(100);
    subscription.unsubscribe();
    await vi.advanceTimersByTimeAsync(10_000);
    expect([questions(), got, vi.getTimerCount()]).toEqual([1, [], 0]);
  });

  it('tells of each batch', async () => {
    const { sink, write } = open();
    const events = new Subject<RunEvent>();
    const told: RunEvent[] = [];
    events.subscribe((event) => told.push(event));
    await write(1);
    gather(sink, 2, { events });
    await vi.advanceTimersByTimeAsync(0);
    const counts = { ok: 1, fresh: 0, failed: 0, skipped: 0 };
    expect(told).toEqual([{ type: 'batch-stored', request: 'r', batch: 1, counts }]);
  });

  it('needs a ledger', () => {
    const { got } = gather({ ...memorySink<string, string>(), ledger: undefined }, 1);
    expect(got).toEqual([expect.stringMatching(/^options_invalid: gatherBatches: sink: memory has no ledger/)]);
    expect(() => gatherBatches({ delivery: undefined, sink: memorySink() } as never)).toThrow(OptionsError);
  });
});

const noSignal = { signal: new AbortController().signal };
