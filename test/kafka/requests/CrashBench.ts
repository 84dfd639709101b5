import { vi } from 'vitest';
import type { MemoryBroker } from '../../../src/memory/memoryBroker.ts';
import { memorySink } from '../../../src/memory/memorySink.ts';
import type { Delivery } from '../../../src/model/delivery.ts';
import { PipelineError, SinkError } from '../../../src/model/errors.ts';
import type { Ledger } from '../../../src/model/ports.ts';
import type { Asset } from '../../../src/model/records.ts';
import { committed, completionOf, completions, deadLetters, faultySink, keyAt, message, openBroker } from './bench.ts';
import { requestTopic, send, turn, Worker, type Fault } from './bench.ts';

export const partitions = 3;
const batchSize = 2;

/** What happens next. A worker is meant by its number, modulo those that there are. */
export type Step =
  | { readonly type: 'send'; readonly partition: number; readonly symbols: number; readonly isRequest: boolean }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'start' }
  | {
      /** Ends as by SIGKILL; loses its group without knowing it, and goes on; drains; is unsubscribed. */
      readonly type: 'kill' | 'expel' | 'drain' | 'unsubscribe';
      readonly worker: number;
    }
  /** What becomes of the next calls to the broker. */
  | { readonly type: 'faults'; readonly faults: readonly Fault[] }
  | { readonly type: 'database'; readonly isAway: boolean };

export interface CrashSettings {
  readonly durations: readonly number[];
  readonly maxOpen: number;
  readonly window: number;
}

interface Process {
  readonly worker: Worker;
  isAlive: boolean;
  isExpelled: boolean;
}

/** What there is to see in the end. */
interface State {
  readonly completions: readonly string[];
  readonly deadLetters: readonly string[];
  readonly committed: readonly unknown[];
  readonly fetchedTwice: readonly string[];
}

/** Workers that die, over a broker and a database that survive. */
export class CrashBench {
  readonly #settings: CrashSettings;
  readonly #broker: MemoryBroker = openBroker(partitions);
  readonly #sink = memorySink<Asset, number>();
  readonly #processes: Process[] = [];
  readonly #sent: { partition: number; value: string; symbols: readonly string[]; isRequest: boolean }[] = [];
  readonly #fetchedTwice: string[] = [];
  #faults: Fault[] = [];
  #isDatabaseAway = false;
  #batches = 0;

  constructor(settings: CrashSettings) {
    this.#settings = settings;
    this.#start();
  }

  async take(step: Step): Promise<void> {
    switch (step.type) {
      case 'send':
        await this.#send(step);
        break;
      case 'wait':
        await this.#wait(step.ms);
        break;
      case 'start':
        if (this.#processes.filter(({ isAlive }) => isAlive).length < 3) this.#start();
        break;
      case 'faults':
        this.#faults.push(...step.faults);
        break;
      case 'database':
        this.#isDatabaseAway = step.isAway;
        break;
      default:
        this.#end(step.type, this.#processes[step.worker % this.#processes.length]);
    }
    await turn();
  }

  /** Lets the rest be done, by one more worker at least. */
  async finish(): Promise<void> {
    this.#faults = [];
    this.#isDatabaseAway = false;
    this.#start();
    for (let round = 0; round < 400 && this.#broker.records('OUT').length < this.#sent.length; round++) {
      await this.#wait(250);
    }
    for (const process of this.#processes) this.#kill(process);
    // So long those that are dead believe that they hand something back.
    await this.#wait(2_500);
  }

  async state(): Promise<State> {
    const places = Array.from({ length: partitions }, (_, partition) => partition);
    return {
      completions: completions(this.#broker)
        .map(({ key, event }) => `${key} ${event.status} ${'totalAssets' in event ? event.totalAssets : ''}`)
        .sort(),
      deadLetters: deadLetters(this.#broker)
        .map(({ value }) => value)
        .sort(),
      committed: await Promise.all(places.map((partition) => committed(this.#broker, partition))),
      fetchedTwice: this.#fetchedTwice,
    };
  }

  expected(): State {
    const places = Array.from({ length: partitions }, (_, partition) =>
      this.#sent.filter((sent) => sent.partition === partition),
    );
    return {
      completions: places
        .flatMap((sent, partition) =>
          sent.map(
            ({ isRequest, symbols }, offset) =>
              `${keyAt(offset, partition)} ${isRequest ? `complete ${symbols.length}` : 'failed 0'}`,
          ),
        )
        .sort(),
      deadLetters: this.#sent.flatMap(({ isRequest, value }) => (isRequest ? [] : [value])).sort(),
      committed: places.map(({ length }) => ({ offset: BigInt(length), announced: new Set() })),
      fetchedTwice: [],
    };
  }

  async #send({ partition, symbols: count, isRequest }: Step & { type: 'send' }): Promise<void> {
    const number = this.#sent.length;
    const symbols = Array.from({ length: count }, (_, index) => `S${number}-${index}`);
    const value = isRequest ? message(...symbols) : `no request ${number}`;
    this.#sent.push({ partition, value, symbols, isRequest });
    await send(this.#broker, [value], partition);
  }

  async #wait(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 125) {
      vi.advanceTimersByTime(Math.min(left, 125));
      await turn();
    }
  }

  #start(): void {
    const process: { isAlive: boolean } = { isAlive: true };
    const gone = <Result>(): Promise<Result> => new Promise(() => undefined);
    const nextFault = (): Fault => this.#faults.shift();
    const sink = faultySink(this.#broker.sink(), { own: nextFault, announce: nextFault });
    const ledger: Ledger<Asset, number> = {
      ...this.#sink.ledger,
      accept: (request) => (process.isAlive ? this.#ask(() => this.#sink.ledger.accept(request)) : gone()),
      begin: (...start) => (process.isAlive ? this.#ask(() => this.#sink.ledger.begin(...start)) : gone()),
      handBack: (start) => (process.isAlive ? this.#ask(() => this.#sink.ledger.handBack(start)) : gone()),
    };
    const topic = requestTopic({ ledger, batchSize });
    const worker = new Worker(
      this.#broker,
      {
        topics: [topic],
        maxOpen: this.#settings.maxOpen,
        window: this.#settings.window,
        // Nothing in these requests is poison: they are to be started in quarantine, and not to be given up.
        quarantineStarts: 1_000,
        sink: {
          ...sink,
          own: async (...place) => {
            const announcer = await sink.own(...place);
            return {
              committed: announcer.committed,
              close: () => announcer.close(),
              announce: (...args) => (process.isAlive ? announcer.announce(...args) : gone()),
            };
          },
        },
      },
      (delivery) => void this.#answer(delivery, process),
    );
    this.#processes.push(Object.assign(process, { worker, isExpelled: false }));
  }

  #end(how: 'kill' | 'expel' | 'drain' | 'unsubscribe', process: Process | undefined): void {
    if (process?.isAlive !== true) return;
    if (how === 'drain') process.worker.stopping.abort();
    if (how === 'expel') this.#broker.crash(process.worker.source);
    if (how === 'unsubscribe') process.worker.stop();
    if (how === 'kill') this.#kill(process);
  }

  #kill(process: Process): void {
    process.isAlive = false;
    this.#broker.crash(process.worker.source);
    process.worker.stop();
  }

  /** A pipeline of the simplest kind: fetches and stores batch by batch what the ledger does not have. */
  async #answer(delivery: Delivery<unknown, Asset>, process: { readonly isAlive: boolean }): Promise<void> {
    try {
      for (let index = 0; index * delivery.batchSize < delivery.inputs.length; index++) {
        if (await this.#isStored(delivery.id, index)) continue;
        await this.#doBatch(delivery, index);
        if (!process.isAlive || delivery.signal.aborted) return;
      }
      await delivery.ack(completionOf(delivery));
    } catch (error) {
      if (process.isAlive) await delivery.nack(PipelineError.from(error));
    }
  }

  async #isStored(key: string, index: number): Promise<boolean> {
    return this.#ask(async () => (await this.#sink.ledger.stored(key, index)) !== undefined);
  }

  async #doBatch({ id, inputs, batchSize: size, signal }: Delivery<unknown, Asset>, index: number): Promise<void> {
    if (signal.aborted) return;
    const batch = inputs.slice(index * size, (index + 1) * size);
    const twice = batch.filter((input) => this.#sink.rows.has(JSON.stringify(input)));
    this.#fetchedTwice.push(...twice.map(({ symbol }) => symbol));
    const { durations } = this.#settings;
    const durationMs = durations[this.#batches++ % durations.length] ?? 0;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, durationMs);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    if (signal.aborted) return;
    const outcomes = batch.map((input) => ({ status: 'ok' as const, input, value: 1 }));
    await this.#ask(() => this.#sink.write({ index, request: id, outcomes }));
  }

  async #ask<Result>(question: () => Promise<Result>): Promise<Result> {
    if (this.#isDatabaseAway) {
      throw new SinkError('database_unavailable', 'the database is away', { retryable: true });
    }
    return question();
  }
}
