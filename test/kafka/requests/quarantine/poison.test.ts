// Issue 10, item 10: a request that no worker survives.
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { MemoryBroker } from '../../../../src/memory/memoryBroker.ts';
import { memorySink, type MemorySink } from '../../../../src/memory/memorySink.ts';
import type { Delivery } from '../../../../src/model/delivery.ts';
import { PipelineError } from '../../../../src/model/errors.ts';
import type { CompletionEvent } from '../../../../src/model/events/completion.ts';
import type { Asset } from '../../../../src/model/records.ts';
import type { FromRequestsOptions } from '../../../../src/kafka/requests/fromRequestsOptions.ts';
import { completionOf, completions, deadLetters, keyAt, message, openBroker } from '../bench.ts';
import { requestTopic, send, settle, Worker } from '../bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

const partitions = 3;
const has = (symbol: string, { inputs }: Delivery<unknown, Asset>): boolean =>
  inputs.some((input) => input.symbol === symbol);

/** A process that answers each delivery after a second, and dies of one that is poison, or that is heavy once it is gathered. */
class MortalProcess {
  /** The deliveries, each with the symbols of those that were at work then. */
  readonly seen: { readonly symbols: string; readonly beside: string[] }[] = [];
  readonly worker: Worker;
  readonly #broker: MemoryBroker;
  readonly #prices: MemorySink<Asset, number>;
  readonly #atWork = new Set<string>();
  isDead = false;

  constructor(broker: MemoryBroker, prices: MemorySink<Asset, number>, options: Partial<FromRequestsOptions> = {}) {
    this.#broker = broker;
    this.#prices = prices;
    const { ledger } = prices;
    const handBack: typeof ledger.handBack = async (start) => (this.isDead ? undefined : ledger.handBack(start));
    const topic = requestTopic({ ledger: { ...ledger, handBack }, workTopic: 'WORK', batchSize: 2 });
    const source = broker.source({ groupId: 'workers', topics: ['IN', 'WORK'] });
    const given = options as Partial<FromRequestsOptions<typeof topic>>;
    this.worker = new Worker(broker, { topics: [topic], source, ...given }, (delivery) => this.#take(delivery));
  }

  /** As by SIGKILL: nobody is told. */
  die(): void {
    this.isDead = true;
    this.#broker.crash(this.worker.source);
    this.worker.stop();
  }

  #take(delivery: Delivery<unknown, Asset>): void {
    const symbols = delivery.inputs.map(({ symbol }) => symbol).join(' ');
    this.seen.push({ symbols, beside: [...this.#atWork] });
    this.#atWork.add(symbols);
    if (delivery.share?.role === 'owner') void this.#gather(delivery, symbols);
    else if (has('POISON', delivery)) this.die();
    else void this.#answer(delivery, symbols);
  }

  async #answer(delivery: Delivery<unknown, Asset>, symbols: string): Promise<void> {
    const isOver = await waits(1_000, delivery.signal);
    this.#atWork.delete(symbols);
    if (this.isDead) return;
    const canceled = delivery.inputs.map((input) => ({ ...input, reason: 'canceled' }));
    const completion = { ...completionOf(delivery), skipped: isOver ? [] : canceled } as CompletionEvent;
    if (isOver) await this.#store(delivery);
    await delivery.ack(completion).catch(() => undefined);
  }

  async #store({ id, inputs, share }: Delivery<unknown, Asset>): Promise<void> {
    const first = share?.role === 'part' ? share.firstBatch : 0;
    for (let at = 0; at * 2 < inputs.length; at++) {
      const outcomes = inputs.slice(at * 2, at * 2 + 2).map((input) => ({ status: 'ok', input, value: 1 }) as const);
      await this.#prices.write({ index: first + at, request: id, outcomes });
    }
  }

  /** Looks every second whether all batches are there. */
  async #gather(delivery: Delivery<unknown, Asset>, symbols: string): Promise<void> {
    const { id, inputs, batchSize } = delivery;
    const isAll = async (): Promise<boolean> =>
      (await this.#prices.ledger.storedNumbers(id)).length === Math.ceil(inputs.length / batchSize);
    while (!this.isDead && !delivery.signal.aborted && !(await isAll())) await waits(1_000, delivery.signal);
    this.#atWork.delete(symbols);
    if (!this.isDead && has('HEAVY', delivery)) this.die();
    if (this.isDead) return;
    if (delivery.signal.aborted) return delivery.nack(PipelineError.from(delivery.signal.reason));
    const failed = [];
    for await (const batch of this.#prices.ledger.batches(id)) {
      for (const outcome of batch.outcomes) {
        if (outcome.status !== 'failed') continue;
        const { code: reason, message } = outcome.error;
        failed.push({ symbol: outcome.input.symbol, stage: outcome.stage, reason, message });
      }
    }
    const status = failed.length === 0 ? 'complete' : 'partial';
    await delivery.ack({ ...completionOf(delivery), status, failed }).catch(() => undefined);
  }
}

/** Whether the time passed, and the signal did not abort before. */
async function waits(ms: number, signal: AbortSignal): Promise<boolean> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, ms);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  return !signal.aborted;
}

/** Starts a process whenever the one before has died, until all is answered. */
async function run(
  broker: MemoryBroker,
  prices: MemorySink<Asset, number>,
  count: number,
  options: Partial<FromRequestsOptions> = {},
): Promise<MortalProcess[]> {
  const processes: MortalProcess[] = [];
  for (let round = 0; round < 400 && completions(broker).length < count; round++) {
    if (processes.at(-1)?.isDead !== false) processes.push(new MortalProcess(broker, prices, options));
    await settle();
    await vi.advanceTimersByTimeAsync(250);
  }
  processes.at(-1)?.worker.stop();
  await settle();
  return processes;
}

function open() {
  const broker = openBroker(partitions);
  broker.createTopic('WORK', 1);
  return { broker, prices: memorySink<Asset, number>() };
}

describe('a request that ends its process', () => {
  it('is answered in the end, and so are twenty others beside it', async () => {
    const { broker, prices } = open();
    const others = Array.from({ length: 20 }, (_, index) => `S${index}`);
    for (const [index, symbol] of others.slice(0, 10).entries()) await send(broker, [message(symbol)], index % 3);
    await send(broker, [message('A', 'POISON')], 1);
    for (const [index, symbol] of others.slice(10).entries()) await send(broker, [message(symbol)], index % 3);
    const processes = await run(broker, prices, 21);

    const answers = completions(broker).map(({ event }) => [event.status, event.errorType]);
    expect(answers.filter(([status]) => status === 'complete')).toHaveLength(20);
    expect(answers.filter(([status]) => status === 'failed')).toEqual([['failed', 'request_exhausted']]);
    const poisoned = completions(broker).find(({ event }) => event.status === 'failed')!;
    expect(poisoned.event.failed.map(({ symbol, stage, reason }) => [symbol, stage, reason])).toEqual([
      ['A', 'fetch', 'request_exhausted'],
      ['POISON', 'fetch', 'request_exhausted'],
    ]);
    expect(deadLetters(broker).map(({ value }) => value)).toEqual([message('A', 'POISON')]);
    // Two deaths among others, three alone, and a process that lives.
    const ofPoison = processes.flatMap(({ seen }) => seen.filter(({ symbols }) => symbols === 'A POISON'));
    expect(processes.map(({ isDead }) => isDead)).toEqual([true, true, true, true, true, false]);
    expect(ofPoison.map(({ beside }) => beside.length > 0)).toEqual([true, true, false, false, false]);
    const told = processes.flatMap(({ worker }) => worker.told('request-quarantined'));
    expect(told.filter(({ key }) => key === poisoned.key).map(({ lost }) => lost)).toEqual([2, 3, 4]);
    // Those that were beside it are alone, too, and each needs it once at most.
    const innocent = told.filter(({ key }) => key !== poisoned.key).map(({ key }) => key);
    expect(innocent.length).toBeGreaterThan(0);
    expect(new Set(innocent).size).toBe(innocent.length);
    const died = processes.flatMap(({ worker }) => worker.told('dead-lettered').map(({ error }) => error.message));
    expect(died).toEqual([
      `request ${poisoned.key}: the process ended at each of its last 5 starts, 3 of them with nothing beside it`,
    ]);
  });

  it('is answered after as many starts as the options say', async () => {
    const { broker, prices } = open();
    await send(broker, [message('POISON')]);
    const processes = await run(broker, prices, 1, { quarantineAfter: 1, quarantineStarts: 1 });
    expect(processes.map(({ isDead }) => isDead)).toEqual([true, true, false]);
    expect(completions(broker).map(({ event }) => event.errorType)).toEqual(['request_exhausted']);
  });

  it('loses only the batch that does it, where it is shared', async () => {
    const { broker, prices } = open();
    await send(broker, [message('A', 'B', 'C', 'POISON', 'D', 'E'), message('F')]);
    const processes = await run(broker, prices, 2, { splitAbove: 2 });

    const shared = completions(broker).find(({ key }) => key === keyAt(0))?.event;
    expect(shared?.status).toBe('partial');
    expect(shared?.failed.map(({ symbol, reason }) => [symbol, reason])).toEqual([
      ['C', 'request_exhausted'],
      ['POISON', 'request_exhausted'],
    ]);
    expect(completions(broker).find(({ key }) => key === keyAt(1))?.event.status).toBe('complete');
    expect(deadLetters(broker)).toHaveLength(1);
    const parts = processes.flatMap(({ seen }) => seen.filter(({ symbols }) => symbols === 'C POISON'));
    // The owner only waits, and may be beside it.
    const others = parts.map(({ beside }) => beside.filter((symbols) => symbols !== 'A B C POISON D E'));
    expect(others).toEqual([expect.anything(), expect.anything(), [], [], []]);
    const told = processes.flatMap(({ worker }) => worker.told('part-done').filter(({ error }) => error !== undefined));
    expect(told.map(({ batch, error }) => [batch, error?.code])).toEqual([[1, 'request_exhausted']]);
  });
});

describe('a shared request that ends its process when it is gathered', () => {
  it('is answered in the end, though all of its batches are stored', async () => {
    const { broker, prices } = open();
    await send(broker, [message('A', 'B', 'C', 'HEAVY', 'D', 'E'), message('F')]);
    const processes = await run(broker, prices, 2, { splitAbove: 2 });

    expect(completions(broker).find(({ key }) => key === keyAt(1))?.event.status).toBe('complete');
    const answer = completions(broker).find(({ key }) => key === keyAt(0))?.event;
    expect([answer?.status, answer?.errorType]).toEqual(['failed', 'request_exhausted']);
    expect(deadLetters(broker)).toHaveLength(1);
    // In the first one it still waited for its batches, and was not counted.
    expect(processes.map(({ isDead }) => isDead)).toEqual([true, true, true, true, true, true, false]);
  });
});

describe('a request that is called back for one in quarantine', () => {
  const openStarts = async (prices: MemorySink<Asset, number>, offset: number, count: number): Promise<void> => {
    for (let at = 0; at < count; at++) await prices.ledger.begin({ key: keyAt(offset), token: `lost ${at}` }, 9);
  };

  it('is not waited for any longer when its pipeline does not answer, and is handed out again after it', async () => {
    const { broker, prices } = open();
    await openStarts(prices, 1, 2);
    await send(broker, [message('SLOW'), message('SUSPECT')]);
    const worker = new Worker(broker, { topics: [requestTopic({ ledger: prices.ledger })] });
    await settle();
    expect(worker.deliveries.map(({ signal }) => signal.aborted)).toEqual([false]);
    await vi.advanceTimersByTimeAsync(2_000);
    const [slow] = worker.deliveries;
    expect(worker.deliveries.map(({ signal }) => signal.aborted)).toEqual([true]);
    expect(slow!.signal.reason).toMatchObject({ code: 'canceled', retryable: true });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0), keyAt(1)]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(worker.deliveries).toHaveLength(2);
    await worker.deliveries[1]!.ack(completionOf(worker.deliveries[1]!));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0), keyAt(1), keyAt(0)]);
    await expect(slow!.ack(completionOf(slow!))).rejects.toMatchObject({ code: 'fenced' });
    await worker.deliveries[2]!.ack(completionOf(worker.deliveries[2]!));
    expect(completions(broker).map(({ key }) => key)).toEqual([keyAt(1), keyAt(0)]);
    expect(deadLetters(broker)).toEqual([]);
    worker.stop();
    await settle();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lets the process live without it before, the longer the more often it was alone when its process ended', async () => {
    const { broker, prices } = open();
    for (const [offset, lost] of [2, 3, 4].entries()) {
      for (let at = 0; at < lost; at++) await prices.ledger.begin({ key: keyAt(0, offset), token: `lost ${at}` }, 9);
      await send(broker, [message(`LOST${lost}`)], offset);
    }
    const topic = requestTopic({ ledger: prices.ledger });
    const worker = new Worker(broker, { topics: [topic] }, (delivery) => void delivery.ack(completionOf(delivery)));
    const startedAt = new Map<string, number>();
    for (let seconds = 0; seconds <= 60; seconds++) {
      await settle();
      for (const { inputs } of worker.deliveries) {
        const { symbol } = inputs[0]!;
        startedAt.set(symbol, startedAt.get(symbol) ?? seconds);
      }
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect([...startedAt]).toEqual([
      ['LOST2', 2],
      ['LOST3', 10],
      ['LOST4', 50],
    ]);
    worker.stop();
  });

  it('does not keep those behind it in its partition waiting meanwhile', async () => {
    const { broker, prices } = open();
    await openStarts(prices, 1, 4);
    await send(broker, [message('A'), message('SUSPECT'), message('B'), message('C')]);
    const topic = requestTopic({ ledger: prices.ledger });
    const worker = new Worker(broker, { topics: [topic] }, (delivery) => void delivery.ack(completionOf(delivery)));
    await settle();
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0), keyAt(2), keyAt(3)]);
    await vi.advanceTimersByTimeAsync(50_000);
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0), keyAt(2), keyAt(3), keyAt(1)]);
    worker.stop();
  });

  it('is not blamed for processes that end while it waits for its turn alone', async () => {
    const { broker, prices } = open();
    await openStarts(prices, 0, 4);
    await send(broker, [message('INNOCENT')]);
    for (let round = 0; round < 8; round++) {
      const process = new MortalProcess(broker, prices);
      await settle();
      await vi.advanceTimersByTimeAsync(49_000);
      expect(process.seen).toEqual([]);
      process.die();
      await vi.advanceTimersByTimeAsync(500);
    }
    await run(broker, prices, 1);
    expect(completions(broker).map(({ event }) => event.status)).toEqual(['complete']);
  });

  it('is announced when it was answered by then', async () => {
    const { broker, prices } = open();
    await openStarts(prices, 1, 2);
    await send(broker, [message('DONE'), message('SUSPECT')]);
    const topic = requestTopic({ ledger: prices.ledger });
    const worker = new Worker(broker, { topics: [topic] }, (delivery) => void delivery.ack(completionOf(delivery)));
    await settle();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(completions(broker).map(({ key }) => key)).toEqual([keyAt(0), keyAt(1)]);
    expect(worker.deliveries).toHaveLength(2);
    worker.stop();
    await settle();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a start that is handed back', () => {
  const ends: [string, (process: MortalProcess) => void][] = [
    ['the worker is unsubscribed', ({ worker }) => worker.stop()],
    [
      'the worker drains, and its time is over',
      ({ worker }) => {
        worker.stopping.abort();
        void worker.source.stop();
      },
    ],
    ['the group is lost', ({ worker }) => void worker.source.stop()],
  ];

  it.each(ends)('counts nothing, however often that happens: %s', async (_, end) => {
    const { broker, prices } = open();
    await send(broker, [message('A')]);
    for (let round = 0; round < 8; round++) {
      const process = new MortalProcess(broker, prices);
      await settle();
      expect(process.seen).toHaveLength(1);
      end(process);
      await settle();
      process.worker.stop();
      await vi.advanceTimersByTimeAsync(500);
    }
    const [last] = await run(broker, prices, 1);
    expect(completions(broker).map(({ event }) => event.status)).toEqual(['complete']);
    expect(last?.worker.told('request-quarantined')).toEqual([]);
  });

  it('counts nothing when its pipeline gives it back for an outage', async () => {
    const { broker, prices } = open();
    await send(broker, [message('A')]);
    const topic = requestTopic({ ledger: prices.ledger });
    const worker = new Worker(broker, { topics: [topic] });
    for (let round = 0; round < 8; round++) {
      await settle();
      await worker.deliveries.at(-1)!.nack(new PipelineError('provider_unavailable', 'down', { retryable: true }));
      await vi.advanceTimersByTimeAsync(5_000);
    }
    expect(worker.deliveries).toHaveLength(9);
    expect(worker.told('request-quarantined')).toEqual([]);
    // The last one is open, and no other.
    expect(await prices.ledger.begin({ key: keyAt(0), token: 'next' }, 9)).toBe(1);
    worker.stop();
    await settle();
    expect(await prices.ledger.begin({ key: keyAt(0), token: 'next' }, 9)).toBe(0);
  });

  it('begins anew once a batch of it was stored', async () => {
    const { broker, prices } = open();
    await send(broker, [message(...Array.from({ length: 18 }, (_, index) => `S${index}`))]);
    for (let round = 0; round < 8; round++) {
      const process = new MortalProcess(broker, prices);
      await settle();
      const { id, inputs } = process.worker.deliveries[0]!;
      const outcomes = inputs
        .slice(round * 2, round * 2 + 2)
        .map((input) => ({ status: 'ok', input, value: 1 }) as const);
      await prices.write({ index: round, request: id, outcomes });
      process.die();
      await vi.advanceTimersByTimeAsync(500);
    }
    const [last] = await run(broker, prices, 1);
    expect(last?.worker.told('request-quarantined')).toEqual([]);
    expect(completions(broker).map(({ event }) => event.status)).toEqual(['complete']);
  });
});
