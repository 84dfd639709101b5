import { describe, expect, it, vi } from 'vitest';
import { memorySink } from '../../src/memory/memorySink.ts';
import type { MemorySink } from '../../src/memory/memorySink.ts';
import { PipelineError, SinkError } from '../../src/model/errors.ts';
import type { Standing } from '../../src/model/outcome.ts';
import type { Sink } from '../../src/model/ports.ts';
import { patientSink } from '../../src/postgres/patientSink.ts';
import { sinkContract } from '../../src/testing/sinkContract.ts';
import { deferred } from '../support/deferred.ts';
import { batchOf, ok } from './sinks/samples.ts';

const away = (): SinkError => new SinkError('database_unavailable', 'the server is away', { retryable: true });

/** A sink in memory whose database can be away, and that counts how often it was asked. */
function flakySink() {
  const stored = memorySink<string, number>();
  const { ledger } = stored;
  const state = { error: undefined as PipelineError | undefined, tries: 0 };
  const ask = async <Result>(answer: () => Result | Promise<Result>): Promise<Result> => {
    state.tries += 1;
    await Promise.resolve();
    if (state.error !== undefined) throw state.error;
    return answer();
  };
  const sink: MemorySink<string, number> = {
    ...stored,
    current: (inputs, call) => ask(() => stored.current(inputs, call)),
    write: (batch, call) => ask(() => stored.write(batch, call)),
    ledger: {
      ...ledger,
      accept: (request) => ask(() => ledger.accept(request)),
      stored: (key, index) => ask(() => ledger.stored(key, index)),
      storedNumbers: (key, numbers) => ask(() => ledger.storedNumbers(key, numbers)),
      storeFailed: (key, batch) => ask(() => ledger.storeFailed(key, batch)),
      begin: (start, below) => ask(() => ledger.begin(start, below)),
      handBack: (start) => ask(() => ledger.handBack(start)),
    },
  };
  return { sink, state };
}

const write = { index: 0, request: 'r', outcomes: [ok('A', 1)] };
const never = (): { signal: AbortSignal; maxAgeMs: number } => ({
  signal: new AbortController().signal,
  maxAgeMs: 1000,
});
const minuteMs = 60_000;

describe('a patient sink', () => {
  for (const { name, run } of sinkContract(() =>
    Promise.resolve({
      sink: patientSink({ sink: memorySink<string, string>() }),
      inputs: ['A', 'B', 'C', 'D'],
      valueOf: (input: string, version: number) => `${input}${String(version)}`,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  )) {
    it(`is a sink: ${name}`, run);
  }

  it('makes every kind of call again until the database is back', async () => {
    vi.useFakeTimers();
    const { sink, state } = flakySink();
    const patient = patientSink({ sink });
    const accept = { key: 'r', pipeline: 'p', inputs: ['A'], batchSize: 1 };
    const failing = { index: 1, inputs: ['B'], error: new PipelineError('timeout', 'no answer') };
    state.error = away();
    const calls = Promise.all([
      patient.write(write, never()),
      patient.current(['B'], never()),
      patient.ledger.accept(accept),
      patient.ledger.stored('other', 0),
      patient.ledger.storedNumbers('other'),
      patient.ledger.storeFailed('failed', failing),
    ]);
    await vi.advanceTimersByTimeAsync(10 * minuteMs);
    expect(patient.isWaiting()).toBe(true);
    state.error = undefined;
    await vi.advanceTimersByTimeAsync(5000);
    const [written, standings, accepted, stored, numbers] = await calls;
    expect(written.inserted).toBe(1);
    expect(standings).toEqual([{ status: 'pending', input: 'B' }]);
    expect([accepted.inputs, stored, numbers]).toEqual([['A'], undefined, []]);
    expect(await patient.ledger.storedNumbers('failed')).toEqual([1]);
    expect(patient.isWaiting()).toBe(false);
  });

  // Issue 10, item 10: a worker that ends has no time for a database that is away, and its signal has fired.
  it('waits to begin, but tries once to hand back, also when its time is over', async () => {
    vi.useFakeTimers();
    const { sink, state } = flakySink();
    const ending = new AbortController();
    const { ledger } = patientSink({ sink, signal: ending.signal, random: () => 0 });
    const start = { key: 'r', token: 'a' };
    state.error = away();
    const begun = ledger.begin(start, 2);
    await vi.advanceTimersByTimeAsync(minuteMs);
    await expect(ledger.handBack(start)).rejects.toMatchObject({ code: 'database_unavailable' });
    state.error = undefined;
    await vi.advanceTimersByTimeAsync(minuteMs);
    expect(await begun).toBe(0);
    ending.abort();
    await ledger.handBack(start);
    expect(await sink.ledger.begin({ key: 'r', token: 'b' }, 2)).toBe(0);
  });

  it('says once that it waits, and once that the database is back', async () => {
    vi.useFakeTimers();
    const { sink, state } = flakySink();
    const seen: string[] = [];
    const patient = patientSink({
      sink,
      onWait: ({ message }) => seen.push(message),
      onBack: (waitedMs) => seen.push(waitedMs >= minuteMs && waitedMs <= minuteMs + 5000 ? 'back' : String(waitedMs)),
    });
    for (let outage = 0; outage < 2; outage += 1) {
      state.error = away();
      const calls = Promise.all([patient.write(write, never()), patient.ledger.stored('r', 0)]);
      await vi.advanceTimersByTimeAsync(minuteMs);
      state.error = undefined;
      await vi.advanceTimersByTimeAsync(5000);
      await calls;
    }
    expect(seen).toEqual(['the server is away', 'back', 'the server is away', 'back']);
  });

  it('lets one call at a time try, with growing pauses, however many wait', async () => {
    vi.useFakeTimers();
    const { sink, state } = flakySink();
    const patient = patientSink({ sink, random: () => 1 });
    state.error = away();
    const calls = Promise.all(Array.from({ length: 100 }, (_, index) => patient.ledger.stored('r', index)));
    await vi.advanceTimersByTimeAsync(0);
    expect(state.tries).toBe(100);
    const triesAfter: number[] = [];
    for (const milliseconds of [249, 1, 499, 1, 3250, 1_000, minuteMs]) {
      await vi.advanceTimersByTimeAsync(milliseconds);
      triesAfter.push(state.tries - 100);
    }
    // 250, 500, 1000, 2000, 4000 ms, then every 5000.
    expect(triesAfter).toEqual([0, 1, 1, 2, 4, 4, 4 + 1 + 11]);
    // Who comes meanwhile waits, too.
    const late = patient.ledger.stored('r', 100);
    await vi.advanceTimersByTimeAsync(0);
    expect(state.tries).toBe(116);
    state.error = undefined;
    await vi.advanceTimersByTimeAsync(5000);
    expect(await Promise.all([calls, late])).toHaveLength(2);
  });

  it('passes other errors at once, and lets the others go on, since the database has answered', async () => {
    vi.useFakeTimers();
    const { sink, state } = flakySink();
    const patient = patientSink({ sink });
    state.error = away();
    const first = patient.ledger.stored('r', 0).catch((error: unknown) => error);
    const second = patient.ledger.stored('r', 1).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(0);
    state.error = new SinkError('database_error', 'refused');
    await vi.advanceTimersByTimeAsync(250);
    expect(await first).toBe(state.error);
    expect(await second).toBe(state.error);
    expect(patient.isWaiting()).toBe(false);
    await expect(patient.write(write, never())).rejects.toBe(state.error);
  });

  // Issue 10, item 7: what was missing later failed the batch at once, which had been paid for.
  it('waits for what is missing, with pauses that grow to a minute once the database has answered', async () => {
    vi.useFakeTimers();
    const { sink, state } = flakySink();
    const told: string[] = [];
    const patient = patientSink({
      sink,
      random: () => 1,
      onWait: ({ code }) => told.push(code),
      onBack: () => told.push('back'),
    });
    const missing = new SinkError('database_not_ready', 'there is no such table');
    state.error = missing;
    const first = patient.write(write, never());
    await vi.advanceTimersByTimeAsync(minuteMs);
    expect(patient.isWaiting()).toBe(true);
    state.error = undefined;
    await vi.advanceTimersByTimeAsync(5000);
    expect((await first).inserted).toBe(1);
    state.error = missing;
    state.tries = 0;
    const writing = patient.write({ ...write, index: 1 }, never());
    const times: number[] = [];
    for (let seconds = 0; seconds < 300; seconds += 1) {
      const { tries } = state;
      await vi.advanceTimersByTimeAsync(1000);
      if (state.tries > tries) times.push(seconds);
    }
    // 0.25, 0.5, 1, 2, 4, 8, 16, 32 s after one another, then every minute.
    expect(times.slice(-7)).toEqual([7, 15, 31, 63, 123, 183, 243]);
    expect(patient.isWaiting()).toBe(true);
    // What does not need it goes on meanwhile, and proves nothing of it.
    state.error = undefined;
    expect(await patient.ledger.storedNumbers('r')).toEqual([0]);
    expect(patient.isWaiting()).toBe(true);
    await vi.advanceTimersByTimeAsync(minuteMs);
    expect((await writing).unchanged).toBe(1);
    expect(patient.isWaiting()).toBe(false);
    expect(told).toEqual(['database_not_ready', 'back', 'database_not_ready', 'back']);
  });

  describe('with a probe', () => {
    /** A sink that hangs or fails, and the answers of its probe. */
    function probed() {
      const stored = memorySink<string, number>();
      const answer = deferred();
      const state = { isThere: true, error: undefined as PipelineError | undefined };
      const probe = vi.fn(async () => {
        await Promise.resolve();
        if (!state.isThere) throw new Error('no answer');
      });
      const sink: Sink<string, number> = {
        ...stored,
        probe,
        write: async (batch, call) => {
          await answer.promise;
          if (state.error !== undefined) throw state.error;
          return stored.write(batch, call);
        },
      };
      const told: string[] = [];
      const patient = patientSink({ sink, onWait: ({ code }) => told.push(code), onBack: () => told.push('back') });
      return { patient, state, told, answer, probe };
    }

    // Issue 10, item 7: it was logged as away.
    it('does not call a slow database away, but waits for it', async () => {
      vi.useFakeTimers();
      const { patient, told, answer, probe } = probed();
      const writing = patient.write(write, never());
      await vi.advanceTimersByTimeAsync(minuteMs);
      expect([told, patient.isWaiting()]).toEqual([['database_busy'], true]);
      expect(probe).toHaveBeenCalledTimes(12);
      answer.resolve();
      expect((await writing).inserted).toBe(1);
      expect([told, patient.isWaiting()]).toEqual([['database_busy', 'back'], false]);
      expect(vi.getTimerCount()).toBe(0);
    });

    it('calls a silent database away whose probe has no answer either', async () => {
      vi.useFakeTimers();
      const { patient, state, told, answer } = probed();
      state.isThere = false;
      const writing = patient.write(write, never());
      await vi.advanceTimersByTimeAsync(5000);
      expect([told, patient.isWaiting()]).toEqual([['database_unavailable'], true]);
      answer.resolve();
      await writing;
      expect(told).toEqual(['database_unavailable', 'back']);
    });

    it('waits with any state while the probe fails as well, and passes it when the probe is answered', async () => {
      vi.useFakeTimers();
      const { patient, state, told, answer } = probed();
      answer.resolve();
      state.isThere = false;
      state.error = new SinkError('database_error', 'could not extend file (53100)');
      const writing = patient.write(write, never()).catch((error: unknown) => error);
      await vi.advanceTimersByTimeAsync(minuteMs);
      expect([told, patient.isWaiting()]).toEqual([['database_unavailable'], true]);
      state.isThere = true;
      await vi.advanceTimersByTimeAsync(5000);
      expect(await writing).toBe(state.error);
    });

    it('lets a call that meets a lock try again by itself, and nobody else wait for it', async () => {
      vi.useFakeTimers();
      const { patient, state, told, answer } = probed();
      answer.resolve();
      const cause = Object.assign(new Error('canceling statement due to lock timeout'), { code: '55P03' });
      state.error = new SinkError('database_unavailable', 'a lock', { retryable: true, cause });
      const writing = patient.write(write, never());
      await vi.advanceTimersByTimeAsync(minuteMs);
      expect(await patient.ledger?.storedNumbers('r')).toEqual([]);
      expect([told, patient.isWaiting()]).toEqual([['database_busy'], true]);
      state.error = undefined;
      await vi.advanceTimersByTimeAsync(5000);
      expect((await writing).inserted).toBe(1);
    });
  });

  it('ends the wait of an aborted call at once, and leaves its turn to the next', async () => {
    vi.useFakeTimers();
    const { sink, state } = flakySink();
    const patient = patientSink({ sink });
    const controllers = [new AbortController(), new AbortController()] as const;
    const reason = new PipelineError('canceled', 'over');
    state.error = away();
    const aborted = controllers.map(({ signal }) => patient.write(write, { signal }).catch((error: unknown) => error));
    const kept = patient.write({ ...write, index: 1 }, never());
    await vi.advanceTimersByTimeAsync(0);
    for (const controller of controllers) controller.abort(reason);
    expect(await Promise.all(aborted)).toEqual([reason, reason]);
    expect(patient.isWaiting()).toBe(true);
    state.error = undefined;
    await vi.advanceTimersByTimeAsync(250);
    expect((await kept).inserted).toBe(1);
  });

  it('waits no longer when nobody does, and leaves no timer', async () => {
    vi.useFakeTimers();
    const { sink, state } = flakySink();
    const stop = new AbortController();
    const patient = patientSink({ sink, signal: stop.signal });
    const reason = new PipelineError('canceled', 'the process ends');
    state.error = away();
    const waiting = patient.ledger.stored('r', 0).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(100);
    stop.abort(reason);
    expect(await waiting).toBe(reason);
    expect(patient.isWaiting()).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
    await expect(patient.ledger.stored('r', 0)).rejects.toBe(reason);
    await expect(patient.write(write, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('passes the turn on when the call that tries is aborted, or says nothing of the database', async () => {
    vi.useFakeTimers();
    const stored = memorySink<string, number>();
    const trial = deferred<never>();
    let error: PipelineError | undefined = away();
    let tries = 0;
    const sink: Sink<string, number> = {
      ...stored,
      write: async (batch, call) => {
        tries += 1;
        await Promise.resolve();
        if (tries === 4) return trial.promise;
        if (error !== undefined) throw error;
        return stored.write(batch, call);
      },
    };
    const patient = patientSink({ sink });
    const controller = new AbortController();
    const hanging = patient.write(write, controller).catch((reason: unknown) => reason);
    const asking = patient.write({ ...write, index: 1 }, never());
    const last = patient.write({ ...write, index: 2 }, never());
    await vi.advanceTimersByTimeAsync(250);
    // The first one tries, and hangs; the others wait for it.
    expect(tries).toBe(4);
    error = undefined;
    await vi.advanceTimersByTimeAsync(minuteMs);
    expect(tries).toBe(4);
    controller.abort(new PipelineError('canceled', 'over'));
    await hanging;
    expect((await Promise.all([asking, last])).map(({ inserted, unchanged }) => [inserted, unchanged])).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });

  it('does not take an answer for a proof for which nobody had to be asked', async () => {
    vi.useFakeTimers();
    const { sink, state } = flakySink();
    const onBack = vi.fn();
    const knowing: Required<Omit<Sink<string, number>, 'probe'>> = {
      ...sink,
      refuse: () => undefined,
      current: pendingAll,
    };
    const patient = patientSink({ sink: knowing, onBack });
    state.error = away();
    const writing = patient.write(write, never());
    await vi.advanceTimersByTimeAsync(0);
    const asking = patient.current(['A'], { ...never(), maxAgeMs: 0 });
    await vi.advanceTimersByTimeAsync(minuteMs);
    expect(await asking).toHaveLength(1);
    expect(onBack).not.toHaveBeenCalled();
    expect(patient.isWaiting()).toBe(true);
    state.error = undefined;
    await vi.advanceTimersByTimeAsync(5000);
    expect((await writing).inserted).toBe(1);
    expect(onBack).toHaveBeenCalledTimes(1);
  });

  it('counts as waiting while the database is silent', async () => {
    vi.useFakeTimers();
    const stored = memorySink<string, number>();
    const answer = deferred();
    const errors: PipelineError[] = [];
    const slow: Sink<string, number> = {
      ...stored,
      write: (batch, call) => answer.promise.then(() => stored.write(batch, call)),
    };
    const patient = patientSink({
      sink: slow,
      answerWithinMs: 3000,
      onWait: (error) => errors.push(error),
    });
    const writing = patient.write(write, never());
    await vi.advanceTimersByTimeAsync(2999);
    expect(patient.isWaiting()).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(patient.isWaiting()).toBe(true);
    expect(errors.map(({ code, message }) => [code, message])).toEqual([
      ['database_unavailable', 'memory: no answer from the database within 3000 ms'],
    ]);
    answer.resolve();
    expect((await writing).inserted).toBe(1);
    expect(patient.isWaiting()).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('tries again when a silent call has failed in the end, and lets those that came meanwhile try before', async () => {
    vi.useFakeTimers();
    const stored = memorySink<string, number>();
    const silent = deferred<never>();
    let tries = 0;
    const freezing: Sink<string, number> = {
      ...stored,
      write: (batch, call) => (++tries === 1 ? silent.promise : stored.write(batch, call)),
    };
    const patient = patientSink({ sink: freezing });
    const first = patient.write(write, never());
    await vi.advanceTimersByTimeAsync(minuteMs);
    expect([tries, patient.isWaiting()]).toEqual([1, true]);
    const second = patient.write({ ...write, index: 1 }, never());
    await vi.advanceTimersByTimeAsync(0);
    expect((await second).inserted).toBe(1);
    silent.reject(away());
    await vi.advanceTimersByTimeAsync(5000);
    expect((await first).unchanged).toBe(1);
    expect([tries, patient.isWaiting()]).toEqual([3, false]);
  });

  it('lists every batch once, in order, however often the reading breaks off', async () => {
    vi.useFakeTimers();
    const stored = memorySink<string, number>();
    for (const index of [0, 1, 2, 5]) await stored.write(batchOf([ok('A', index)], 'r', index));
    let reads = 0;
    let closed = 0;
    const ledger = {
      ...stored.ledger,
      async *batches(key: string, numbers?: readonly number[]) {
        const read = ++reads;
        try {
          let given = 0;
          for await (const batch of stored.ledger.batches(key, numbers)) {
            if (given++ === read) throw away();
            yield batch;
          }
        } finally {
          closed += 1;
        }
      },
    };
    const patient = patientSink({ sink: { ...stored, ledger } });
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { index } of patient.ledger.batches('r', [0, 1, 5])) seen.push(index);
    })();
    await vi.advanceTimersByTimeAsync(minuteMs);
    await reading;
    expect(seen).toEqual([0, 1, 5]);
    expect(reads).toBe(3);
    for await (const { index } of patient.ledger.batches('r')) if (index === 0) break;
    expect(closed).toBe(reads);
  });

  it('refuses inputs as the sink does, and has only what the sink has', () => {
    const { write }: Sink<string, number> = memorySink<string, number>();
    const bare = patientSink({ sink: { name: 'bare', write } });
    expect(Object.keys(bare).filter((key) => bare[key as keyof typeof bare] !== undefined)).toEqual([
      'name',
      'write',
      'isWaiting',
    ]);
    const refusal = new PipelineError('symbol_too_long', 'too long');
    const choosy = { name: 'picky', write, refuse: (input: string) => (input === 'A' ? refusal : undefined) };
    const picky = patientSink({ sink: choosy });
    expect(picky.refuse('B')).toBeUndefined();
    expect(picky.refuse('A')).toBe(refusal);
  });
});

async function pendingAll<I>(inputs: readonly I[]): Promise<Standing<I, never>[]> {
  await Promise.resolve();
  return inputs.map((input) => ({ status: 'pending', input }));
}
