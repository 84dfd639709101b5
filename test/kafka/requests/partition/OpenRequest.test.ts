import { Subject } from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { historicalMarketDataTopic } from '../../../../src/kafka/requests/requestTopics.ts';
import { memoryLedger } from '../../../../src/memory/memoryLedger.ts';
import { PipelineError, ProviderError, RequestError, SinkError } from '../../../../src/model/errors.ts';
import type { CompletionEvent } from '../../../../src/model/events/completion.ts';
import type { Ledger } from '../../../../src/model/ports.ts';
import type { Asset } from '../../../../src/model/records.ts';
import type { RunEvent } from '../../../../src/model/runEvents.ts';
import { deferred } from '../../../support/deferred.ts';
import {
  committed,
  completionOf,
  completions,
  deadLetters,
  groupId,
  keyAt,
  message,
  openBroker,
  requestTopic,
  send,
  settle,
  Worker,
} from '../bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

const done = (offset: bigint): unknown => ({ offset, announced: new Set() });
const away = new SinkError('database_unavailable', 'the database is away', { retryable: true });

describe('a record that is no request', () => {
  const malformed: [string, string | Uint8Array | null][] = [
    ['no JSON', 'AAPL'],
    ['a list', '[]'],
    ['an object without a list', '{}'],
    ['assets that are no list', '{"assets":"AAPL"}'],
    ['a number', '1'],
    ['nothing', null],
    ['an empty value', ''],
    ['bytes that are not UTF-8', new Uint8Array([0xff, 0xfe, 0x7b])],
    ['more bytes than allowed', JSON.stringify({ assets: [], pad: 'x'.repeat(2_000) })],
  ];

  it.each(malformed)('is a dead letter, and its client is told: %s', async (_, value) => {
    const broker = openBroker();
    await send(broker, [value, message('AAPL')]);
    const worker = new Worker(broker, { topics: [requestTopic()], maxMessageBytes: 1_000 });
    await settle();
    const [{ key, event } = { key: '', event: undefined }] = completions(broker);
    expect([key, event?.status, event?.errorType, event?.requestId]).toEqual([
      keyAt(0),
      'failed',
      'request_malformed',
      keyAt(0),
    ]);
    expect(deadLetters(broker).map((letter) => letter.value)).toEqual([Buffer.from(value ?? '').toString()]);
    expect(worker.told('dead-lettered').map((told) => [told.key, told.error.code])).toEqual([
      [keyAt(0), 'request_malformed'],
    ]);
    // Nothing else is delayed: the next one is out already, and the offset has moved on.
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(1)]);
    worker.stop();
    expect(await committed(broker)).toEqual(done(1n));
  });

  it('is told by its place, whatever key and headers it came with', async () => {
    const broker = openBroker();
    const headers = ['ce_id', 'ce_source', 'kafka_dlt-original-topic', 'kafka_replyTopic'].map((name) => ({
      name,
      value: '../../OTHER',
    }));
    const record = { topic: 'IN', partition: 0, key: 'IN-0-7-0', value: 'not JSON', headers };
    await broker.sink().send([record, record]);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    expect(completions(broker).map(({ key }) => key)).toEqual([keyAt(0), keyAt(1)]);
    const told = broker
      .records('OUT')
      .flatMap((each) => each.headers.map(({ value }) => Buffer.from(value).toString()));
    expect(told.filter((value) => value.includes('OTHER'))).toEqual([]);
    expect(broker.records('IN-dlt').map(({ key }) => Buffer.from(key ?? '').toString())).toEqual([
      'IN-0-7-0',
      'IN-0-7-0',
    ]);
    worker.stop();
  });

  it.each([
    ['a date that does not exist', { start_date: '2024-02-31', end_date: '2024-03-31' }],
    ['a start after the end', { start_date: '2024-05-31', end_date: '2024-03-31' }],
    ['no dates', {}],
  ])('is a dead letter: %s', async (_, dates) => {
    const broker = openBroker();
    const names = { topic: 'IN', completionTopic: 'OUT', workTopic: null };
    await send(broker, [JSON.stringify({ ...dates, assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }] })]);
    const worker = new Worker(broker, { topics: [historicalMarketDataTopic(names)] });
    await settle();
    expect([completions(broker).length, deadLetters(broker).length]).toEqual([1, 1]);
    worker.stop();
  });

  it('is only a failed outcome where one asset of a request is bad', async () => {
    const broker = openBroker();
    await send(broker, ['{"assets":[{"symbol":"AAPL","asset_type":"STOCK"},{"symbol":"MSFT"},7]}']);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    const [delivery] = worker.deliveries;
    expect(delivery?.inputs).toEqual([{ symbol: 'AAPL', assetType: 'STOCK' }]);
    expect(delivery?.request.refused).toHaveLength(2);
    expect(deadLetters(broker)).toEqual([]);
    worker.stop();
  });

  it('shows nothing of an error that is not ours', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL')]);
    const parse = (): never => {
      throw new Error('postgres://user:canary@host');
    };
    const worker = new Worker(broker, { topics: [{ ...requestTopic(), parse }] });
    await settle();
    const bytes = [...broker.records('OUT'), ...broker.records('IN-dlt')].flatMap(({ value, headers }) => [
      Buffer.from(value ?? '').toString(),
      ...headers.map((header) => Buffer.from(header.value).toString()),
    ]);
    expect(completions(broker).map(({ event }) => event.errorType)).toEqual(['internal']);
    expect(bytes.join('\n')).not.toContain('canary');
    worker.stop();
  });
});

/** A ledger in memory that can be away. */
function unsteadyLedger(fail: () => Error | undefined): Ledger<Asset, unknown> {
  const ledger = memoryLedger<Asset, unknown>();
  return {
    ...ledger,
    accept: async (request) => {
      const error = fail();
      if (error !== undefined) throw error;
      return ledger.accept(request);
    },
  };
}

describe('a request and its ledger', () => {
  it('hands out what the ledger accepted first', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL')]);
    const ledger = memoryLedger<Asset, unknown>({ now: () => 5_000 });
    const inputs = [{ symbol: 'AAPL', assetType: 'STOCK' }] as const;
    await ledger.accept({ key: keyAt(0), pipeline: 'market-data', inputs, batchSize: 7 });
    const worker = new Worker(broker, { topics: [requestTopic({ ledger, batchSize: 9 })] });
    await settle();
    expect(worker.deliveries.map(({ batchSize, acceptedAt }) => [batchSize, acceptedAt])).toEqual([
      [7, new Date(5_000)],
    ]);
    worker.stop();
  });

  it('counts from the acceptance by the clock of this process', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL')]);
    const accepted = { batchSize: 1, acceptedAt: new Date(99_999_999), ageMs: 1_000 };
    const ledger = memoryLedger<Asset, unknown>();
    const slow = {
      ...ledger,
      accept: ({ inputs }: { inputs: readonly Asset[] }) => Promise.resolve({ ...accepted, inputs }),
    };
    const worker = new Worker(broker, { topics: [requestTopic({ ledger: slow })], now: () => 7_000 });
    await settle();
    expect(worker.deliveries.map(({ acceptedAt }) => acceptedAt)).toEqual([new Date(6_000)]);
    worker.stop();
  });

  it('waits for a database that is away, in order, while other partitions go on', async () => {
    const broker = openBroker(2);
    await send(broker, [message('AAPL'), message('MSFT')], 0);
    await send(broker, [message('TSLA')], 1);
    let isAway = true;
    const ledger = memoryLedger<Asset, unknown>();
    const accept: typeof ledger.accept = async (request) => {
      if (isAway && request.inputs[0]?.symbol === 'AAPL') throw away;
      return ledger.accept(request);
    };
    const worker = new Worker(broker, { topics: [requestTopic({ ledger: { ...ledger, accept } })] });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0, 1)]);
    expect(
      worker
        .told('request-retried')
        .map(({ delayMs }) => delayMs)
        .slice(0, 6),
    ).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000]);
    isAway = false;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0, 1), keyAt(0), keyAt(1)]);
    expect(completions(broker)).toEqual([]);
    worker.stop();
  });

  const refusals: [string, PipelineError][] = [
    ['another list under the same key', new RequestError('request_conflict', 'accepted before with another list')],
    ['what a ledger refuses', new SinkError('database_error', 'invalid input syntax')],
  ];

  it.each(refusals)('is a dead letter: %s', async (_, error) => {
    const broker = openBroker();
    await send(broker, [JSON.stringify({ assets: [], requestId: 'mine' }), message('MSFT')]);
    const errors = [error];
    const worker = new Worker(broker, { topics: [requestTopic({ ledger: unsteadyLedger(() => errors.shift()) })] });
    await settle();
    expect(completions(broker).map(({ event }) => [event.requestId, event.errorType])).toEqual([['mine', error.code]]);
    expect(deadLetters(broker)).toHaveLength(1);
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(1)]);
    worker.stop();
  });

  it('waits for tables that are missing: no request is to blame for them', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL')]);
    const errors = [new SinkError('database_not_ready', 'run migrate')];
    const worker = new Worker(broker, { topics: [requestTopic({ ledger: unsteadyLedger(() => errors.shift()) })] });
    await vi.advanceTimersByTimeAsync(250);
    expect(worker.deliveries).toHaveLength(1);
    expect(deadLetters(broker)).toEqual([]);
    worker.stop();
  });
});

describe('a request that is accepted too late', () => {
  const open = async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT')]);
    const late = deferred();
    const ledger = memoryLedger<Asset, unknown>();
    const accept: typeof ledger.accept = async (request) => {
      if (request.key === keyAt(1)) await late.promise;
      return ledger.accept(request);
    };
    const worker = new Worker(broker, { topics: [requestTopic({ ledger: { ...ledger, accept } })] });
    await settle();
    return { broker, worker, late };
  };

  it('is not handed out once the worker is to stop', async () => {
    const { broker, worker, late } = await open();
    worker.stopping.abort();
    await worker.deliveries[0]!.ack(completionOf(worker.deliveries[0]!));
    late.resolve();
    await settle();
    expect([worker.deliveries.length, worker.ended]).toEqual([1, 'completed']);
    expect(await committed(broker)).toEqual(done(1n));
  });

  it('holds nobody up who is to stop', async () => {
    const { broker, worker } = await open();
    worker.stopping.abort();
    await worker.deliveries[0]!.ack(completionOf(worker.deliveries[0]!));
    await settle();
    expect(worker.ended).toBe('completed');
    expect(deadLetters(broker)).toEqual([]);
  });

  it('is not handed out when another owner has done it', async () => {
    const { broker, worker, late } = await open();
    const other = await broker.sink().own('IN', 0, groupId);
    await other.announce([], { offset: 0n, announced: new Set([1n]) });
    const answered = worker.deliveries[0]!.ack(completionOf(worker.deliveries[0]!));
    await vi.advanceTimersByTimeAsync(1_000);
    await answered;
    late.resolve();
    await settle();
    expect(worker.deliveries).toHaveLength(1);
    expect(worker.told('request-announced').map(({ key }) => key)).toEqual([keyAt(0)]);
    worker.stop();
  });
});

describe('a request that comes back', () => {
  const open = async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT')]);
    const accept = vi.fn((): undefined => undefined);
    const worker = new Worker(broker, { topics: [requestTopic({ ledger: unsteadyLedger(accept) })] });
    await settle();
    return { broker, worker, accept };
  };

  it('is tried again from the ledger on, after growing pauses, without end', async () => {
    const { broker, worker, accept } = await open();
    for (let attempt = 0; attempt < 8; attempt++) {
      const last = worker.deliveries.findLast(({ id }) => id === keyAt(0))!;
      await last.nack(away);
      await last.nack(new RequestError('request_refused', 'a second answer does not count'));
      await expect(last.ack(completionOf(last))).rejects.toMatchObject({ code: 'fenced' });
      await vi.advanceTimersByTimeAsync(5_000);
    }
    expect(worker.deliveries.filter(({ id }) => id === keyAt(0))).toHaveLength(9);
    expect(accept).toHaveBeenCalledTimes(10);
    expect(worker.told('request-retried').map(({ delayMs }) => delayMs)).toEqual([
      250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000,
    ]);
    expect(worker.told('request-accepted')).toHaveLength(2);
    expect([completions(broker).length, deadLetters(broker).length]).toEqual([0, 0]);
    const last = worker.deliveries.at(-1)!;
    await last.ack(completionOf(last));
    expect(completions(broker)).toHaveLength(1);
    worker.stop();
  });

  it('is a dead letter, with a failed completion, when it can never be done', async () => {
    const { broker, worker } = await open();
    await worker.deliveries[0]!.nack(new ProviderError('provider_rejected', 'no such thing'));
    await settle();
    expect(completions(broker).map(({ key, event }) => [key, event.status, event.errorType])).toEqual([
      [keyAt(0), 'failed', 'provider_rejected'],
    ]);
    expect(deadLetters(broker).map(({ value }) => value)).toEqual([message('AAPL')]);
    worker.stop();
    expect(await committed(broker)).toEqual(done(1n));
  });

  it.each([
    [
      'a database that is away',
      { failed: [{ symbol: 'AAPL', stage: 'write', reason: 'database_unavailable', message: 'away' }] },
    ],
    ['symbols that were not tried', { skipped: [{ symbol: 'AAPL', reason: 'canceled' }] }],
  ] as [string, Partial<CompletionEvent>][])('is not announced with %s, but tried again', async (_, part) => {
    const { broker, worker } = await open();
    const [first] = worker.deliveries;
    await expect(first!.ack({ ...completionOf(first!), ...part } as CompletionEvent)).rejects.toMatchObject({
      retryable: true,
    });
    await vi.advanceTimersByTimeAsync(250);
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0), keyAt(1), keyAt(0)]);
    expect(completions(broker)).toEqual([]);
    worker.stop();
  });

  it('becomes a dead letter when its completion cannot be written', async () => {
    const { broker, worker } = await open();
    const [first] = worker.deliveries;
    const broken = { ...completionOf(first!), error: 1n as unknown as string, processingTimeMs: Symbol('no') };
    const circular: Record<string, unknown> = { ...broken };
    circular['self'] = circular;
    await expect(first!.ack(circular as unknown as CompletionEvent)).rejects.toBeInstanceOf(Error);
    await settle();
    expect(completions(broker).map(({ event }) => event.errorType)).toEqual(['internal']);
    expect(deadLetters(broker)).toHaveLength(1);
    worker.stop();
  });
});

describe('a request that makes no progress', () => {
  const progressDeadlineMs = 120_000;
  const open = async (standsStill?: () => boolean) => {
    const broker = openBroker();
    const progress = new Subject<RunEvent>();
    await send(broker, [message('AAPL'), message('MSFT')]);
    const worker = new Worker(broker, { topics: [requestTopic()], progress, standsStill });
    await settle();
    for (const { id } of worker.deliveries) progress.next({ type: 'batch-started', request: id, batch: 0, inputs: 1 });
    return { broker, worker, progress };
  };
  const call = { provider: 'test', inputs: 1, credits: 1, durationMs: 1, result: 'ok' };

  it('is told to end, and goes to the dead letters with its completion in one transaction', async () => {
    const { broker, worker, progress } = await open();
    const [first, second] = worker.deliveries;
    for (let minute = 0; minute < 3; minute++) {
      progress.next({ type: 'provider-call', request: second!.id, batch: 0, call });
      await vi.advanceTimersByTimeAsync(progressDeadlineMs / 3);
    }
    await vi.advanceTimersByTimeAsync(1_000);
    expect(first!.signal.reason).toMatchObject({ code: 'timeout' });
    expect(second!.signal.aborted).toBe(false);
    const skipped = [{ symbol: 'AAPL', reason: 'deadline' as const }];
    await first!.ack({ ...completionOf(first!), status: 'failed', skipped });
    expect(completions(broker).map(({ key, event }) => [key, event.skipped])).toEqual([[keyAt(0), skipped]]);
    expect(deadLetters(broker).map(({ reason }) => reason)).toEqual([
      `PipelineError [timeout]: request ${keyAt(0)} made no progress for 120 s`,
    ]);
    expect(worker.events.map(({ type }) => type).slice(-2)).toEqual(['request-announced', 'dead-lettered']);
    await second!.ack(completionOf(second!));
    expect(vi.getTimerCount()).toBe(0);
    expect(worker.told('dead-lettered')).toHaveLength(1);
    worker.stop();
    expect(await committed(broker)).toEqual(done(2n));
  });

  it('is answered without its pipeline when that does not end within 5 s', async () => {
    const { broker, worker } = await open();
    const [first] = worker.deliveries;
    await vi.advanceTimersByTimeAsync(progressDeadlineMs + 4_000);
    expect(completions(broker)).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(completions(broker).map(({ event }) => event.errorType)).toEqual(['timeout', 'timeout']);
    expect(deadLetters(broker)).toHaveLength(2);
    await expect(first!.ack(completionOf(first!))).rejects.toMatchObject({ code: 'fenced' });
    await first!.nack(away);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([completions(broker).length, worker.deliveries.length]).toEqual([2, 2]);
    worker.stop();
  });

  it('is announced by a pipeline that only knows that it was canceled', async () => {
    const { broker, worker } = await open();
    await vi.advanceTimersByTimeAsync(progressDeadlineMs + 1_000);
    const [first] = worker.deliveries;
    await first!.ack({ ...completionOf(first!), skipped: [{ symbol: 'AAPL', reason: 'canceled' }] });
    expect([completions(broker).length, deadLetters(broker).length]).toEqual([1, 1]);
    worker.stop();
  });

  it('is not tried again when its pipeline breaks by being told to end', async () => {
    const { broker, worker } = await open();
    await vi.advanceTimersByTimeAsync(progressDeadlineMs + 1_000);
    await worker.deliveries[0]!.nack(new PipelineError('canceled', 'canceled', { retryable: true }));
    await settle();
    expect(completions(broker).map(({ event }) => event.errorType)).toEqual(['timeout']);
    worker.stop();
  });

  it('is tried again when the database was what went away', async () => {
    const { broker, worker } = await open();
    await vi.advanceTimersByTimeAsync(progressDeadlineMs + 1_000);
    await worker.deliveries[0]!.nack(away);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(worker.deliveries.filter(({ id }) => id === keyAt(0))).toHaveLength(2);
    expect(deadLetters(broker)).toEqual([]);
    worker.stop();
  });

  it('is let be while nothing can go on', async () => {
    let isDown = true;
    const { worker } = await open(() => isDown);
    await vi.advanceTimersByTimeAsync(10 * progressDeadlineMs);
    expect(worker.deliveries[0]!.signal.aborted).toBe(false);
    isDown = false;
    await vi.advanceTimersByTimeAsync(progressDeadlineMs + 1_000);
    expect(worker.deliveries[0]!.signal.aborted).toBe(true);
    worker.stop();
  });
});
