import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import type { Provider } from '../model/ports.ts';
import type { QuotaStore, SharedWindow } from '../model/quotaPorts.ts';
import type { Asset, Quote } from '../model/records.ts';
import { memoryQuotaStore } from '../limits/quotas/memoryQuotaStore.ts';
import { marketData } from '../pipelines/marketData.ts';
import { memoryWindow } from '../testing/memoryWindow.ts';
import { assetOf } from './assets.ts';
import { Books } from './Books.ts';
import { Chance } from './Chance.ts';
import { memoryStore, type OpenStore } from './memoryStore.ts';
import { scenarioSchema, type Fault, type Scenario } from './Scenario.ts';
import { SimulatedBroker } from './SimulatedBroker.ts';
import { SimulatedDatabase, type DatabaseClient } from './SimulatedDatabase.ts';
import { SimulatedProcess } from './SimulatedProcess.ts';
import { simpleProvider, SimulatedProvider, type OpenProvider } from './SimulatedProvider.ts';
import { maxConcurrent, startWorker, type OpenPipeline, type SimulatedWorker } from './startWorker.ts';
import { completionTopic, deadLetterTopic, noRequest, requestTopic, workTopic } from './topics.ts';
import { VirtualTime } from './VirtualTime.ts';
import { World } from './World.ts';

export interface SimulateOptions {
  /** Decides all chances of the run: how long each way takes, and what becomes of what is on its way when a process dies. */
  seed: number;
  /** What is asked for, and what goes wrong. */
  scenario: Scenario;
  /** What survives the processes, and their sinks. Default: rows and ledger in memory. */
  store?: OpenStore | undefined;
  /** The provider of a process. Default: one of the simplest kind. */
  provider?: OpenProvider | undefined;
  /** The pipeline that answers the requests. Default: marketData. */
  pipeline?: OpenPipeline | undefined;
}

/** What came of a run. */
export interface SimulationReport {
  /** Promises that were broken; empty when all were kept. */
  readonly violations: readonly string[];
  /** The same for the same seed, scenario and code. */
  readonly traceHash: string;
  /** What happened, line by line: the time in milliseconds, who, and what. */
  readonly trace: readonly string[];
  /** What processes did outside of themselves. */
  readonly effects: number;
  readonly batches: number;
  /** How often each kind of fault has hit something. */
  readonly faults: Readonly<Partial<Record<Fault['type'], number>>>;
  /** Whether it says something: at least 3 batches, 30 effects, and a fault that hit. */
  readonly isCounted: boolean;
  /** How much time passed for those in it, in milliseconds. */
  readonly virtualMs: number;
}

/** What may be the user's own in a run. */
export const ownParts = {
  store: callback<OpenStore>().default(() => memoryStore),
  provider: callback<OpenProvider>().default(() => simpleProvider),
  pipeline: callback<OpenPipeline>().default(() => marketDataPipeline),
};

const resolveOptions = defineOptions<SimulateOptions>('simulate')({
  seed: z.int(),
  scenario: scenarioSchema,
  ...ownParts,
});

const marketDataPipeline: OpenPipeline = (parts) => marketData({ ...parts, requestConcurrency: 32 });

type Settings = ReturnType<typeof resolveOptions>;

/** All that is asked for is answered within so much virtual time, or never. */
const longestMs = 20 * 60_000;
const longestDrainMs = 60_000;
/** A process that has ended may still wait for its last answers. */
const longestRestMs = 10_000;

/**
 * Simulates workers whose processes and servers fail, in virtual time, and says which promises that broke.
 *
 * What runs is the real thing: `fromRequests`, the pipelines, `limited`, the limiter and `patientSink`, put together as the
 * command `work` does. Broker, database and provider are in memory, at a distance: whatever a process does to them (a provider
 * call, a statement, a commit, a record, an announcement, an assignment) is an effect, which takes time, and before and after
 * which the process may die. What it has sent then arrives now, later, or never.
 *
 * The promises: one completion for each request, to a reader of committed records, that names each asset once; a price that is
 * told is in the table, or one that was heard of later; nothing is fetched by a process that could know it to be stored; the
 * provider's window is never exceeded; no offset gets past what is answered, or back; never more calls at once or requests open
 * than allowed; a failure has its reason in what the provider did, and nothing is canceled; all is answered in the end, and every
 * process ends and leaves no timer behind.
 *
 * Virtual time is that of the whole JavaScript process: `setTimeout`, `setInterval`, `Date`, `performance` and `Math.random` are
 * replaced until it resolves or rejects, and then given back; so is `Error.stackTraceLimit`, which is 1. So there is one run at a
 * time, it rejects with an `OptionsError` where timers are fake already, and nothing else in the process should need them
 * meanwhile. It needs the package `@sinonjs/fake-timers`. Memory: what happened, some 20 kB a run.
 *
 * @example
 * ```ts
 * import { simulate } from 'fintrack-pipelines/testing';
 *
 * const { violations, faults, batches } = await simulate({
 *   seed: 1,
 *   scenario: {
 *     ...{ workers: 2, partitions: 1, batchSize: 2, splitAbove: 20, maxOpen: 32, credits: 8, windowMs: 1_000 },
 *     requests: [{ atMs: 0, partition: 0, assets: ['AAPL STOCK', 'BTC CRYPTO', 'IBM STOCK'] }],
 *     faults: [{ at: 12, type: 'kill', point: 'after', restartMs: 500 }],
 *   },
 * });
 * console.log(violations, faults, batches);
 * // [] { kill: 1 } 2
 * ```
 */
export async function simulate(options: SimulateOptions): Promise<SimulationReport> {
  const settings = resolveOptions(options);
  const chance = new Chance(settings.seed);
  const time = await VirtualTime.begin(chance.next);
  try {
    return await new Simulation(settings, new World(time, settings.scenario, chance)).run();
  } finally {
    time.end();
  }
}

/** One run. */
class Simulation {
  readonly #settings: Settings;
  readonly #world: World;
  readonly #broker: SimulatedBroker;
  readonly #database: SimulatedDatabase;
  readonly #provider: SimulatedProvider;
  readonly #books: Books;
  readonly #store;
  readonly #window: SharedWindow;
  readonly #quota = memoryQuotaStore();
  readonly #workers: SimulatedWorker[] = [];
  /** Nobody who dies from here on is replaced. */
  #isDraining = false;

  constructor(settings: Settings, world: World) {
    const { credits, windowMs, partitions } = world.scenario;
    this.#settings = settings;
    this.#world = world;
    this.#broker = new SimulatedBroker(world);
    this.#database = new SimulatedDatabase(world);
    this.#provider = new SimulatedProvider(world);
    this.#books = new Books(world, this.#broker.state, this.#provider);
    this.#store = settings.store({ now: () => world.time.dateMs + world.databaseOffsetMs });
    this.#window = memoryWindow({ credits, windowMs, random: () => world.chance.next() });
    for (const topic of [requestTopic, deadLetterTopic]) this.#broker.state.createTopic(topic, partitions);
    this.#broker.state.createTopic(workTopic, 2);
    this.#broker.state.createTopic(completionTopic, 1);
    this.#broker.state.onCommit = (place, committed) => this.#books.onCommit(place, committed);
    world.restart = (restartMs) => void world.time.after(restartMs, () => this.#start());
  }

  async run(): Promise<SimulationReport> {
    const { time, scenario } = this.#world;
    for (let started = 0; started < scenario.workers; started += 1) this.#start();
    for (const request of scenario.requests) time.after(request.atMs, () => this.#send(request));
    const isDone = (): boolean => this.#books.sent.length === scenario.requests.length && this.#books.isAllAnswered;
    if (!(await time.until(isDone, longestMs))) this.#world.violate('not everything was answered');
    // What dead processes have sent may still arrive, and must do no harm.
    await time.until(() => this.#world.isQuiet, longestDrainMs);
    await this.#drain();
    this.#books.close(this.#store.rows());
    return this.#report();
  }

  #start(): void {
    if (this.#isDraining) return;
    const process = new SimulatedProcess(`w${this.#workers.length + 1}`);
    const { time } = this.#world;
    time.as(process, () => {
      const database = this.#database.clientOf(process);
      const worker = startWorker({
        world: this.#world,
        process,
        broker: this.#broker,
        sink: this.#books.watch(process, this.#store.sink(database)),
        provider: this.#watch(process, this.#settings.provider(this.#provider.ask(process))),
        window: this.#windowOf(database),
        quota: this.#quotaOf(database),
        pipeline: this.#settings.pipeline,
      });
      process.stop = () => worker.stopping.abort();
      this.#workers.push(worker);
    });
  }

  #send(request: Scenario['requests'][number]): void {
    const { partition, assets } = request;
    const place = { topic: requestTopic, partition: partition % this.#world.scenario.partitions };
    const entries = assets.map(assetOf).map(({ symbol, assetType }) => ({ symbol, asset_type: assetType }));
    const value = assets.length === 0 ? noRequest : JSON.stringify({ assets: entries });
    this.#broker.state.append([{ ...place, value }]);
    const record = this.#broker.state.recordsOf(place).at(-1);
    if (record === undefined) return;
    const { offset, timestampMs } = record;
    const key = `${place.topic}-${place.partition}-${offset}-${timestampMs}`;
    this.#books.sent.push({ ...request, ...place, key, offset, sentMs: this.#world.time.nowMs });
    this.#world.note(`sent ${key}`);
  }

  /** The calls of a process to the provider, counted. */
  #watch(process: SimulatedProcess, provider: Provider<Asset, Quote>): Provider<Asset, Quote> {
    return {
      ...provider,
      fetch: async (assets, call) => {
        for (const asset of assets) this.#books.onFetch(process, asset);
        process.calls += 1;
        if (process.calls > maxConcurrent) this.#world.violate(`${process.name}: ${process.calls} calls at once`);
        let isOver = false;
        const end = (): void => {
          if (!isOver) process.calls -= 1;
          isOver = true;
        };
        call.signal.addEventListener('abort', end, { once: true });
        try {
          return await provider.fetch(assets, call);
        } finally {
          end();
        }
      },
    };
  }

  /** The window that all processes share, in the database. */
  #windowOf(database: DatabaseClient): SharedWindow {
    const window = this.#window;
    return {
      take: (want) => database.run(`take ${want.min}-${want.credits}`, () => window.take(want)),
      release: (grant, unused) => database.run(`release ${unused}`, () => window.release(grant, unused)),
      settle: (grant, ...end) => database.run('cool down', () => window.settle(grant, ...end)),
    };
  }

  /** What is booked of the day, in the database. */
  #quotaOf(database: DatabaseClient): QuotaStore {
    const quota = this.#quota;
    return {
      book: (...wanted) => database.run('book', () => quota.book(...wanted)),
      giveBack: (...unused) => database.run('give back', () => quota.giveBack(...unused)),
    };
  }

  /** Ends all that are still there: each has to come to its end, and to leave nothing behind. */
  async #drain(): Promise<void> {
    const { time } = this.#world;
    this.#isDraining = true;
    const living = (): SimulatedWorker[] => this.#workers.filter(({ process, isEnded }) => process.isAlive && !isEnded);
    for (const { process } of living()) time.after(0, () => process.stop(), process);
    const isEnded = await time.until(() => living().length === 0, longestDrainMs);
    for (const { process } of living()) this.#world.violate(`${process.name} does not end`);
    if (!isEnded) return;
    const timersOf = ({ process }: SimulatedWorker): number => (process.isAlive ? time.timersOf(process) : 0);
    await time.until(
      () => this.#world.isQuiet && this.#workers.every((worker) => timersOf(worker) === 0),
      longestRestMs,
    );
    for (const worker of this.#workers) {
      const timers = timersOf(worker);
      if (timers > 0) this.#world.violate(`${worker.process.name} leaves ${timers} timers behind`);
    }
  }

  #report(): SimulationReport {
    const { violations, trace, effects, hits, time } = this.#world;
    const { batches } = this.#books;
    return {
      violations: [...violations],
      traceHash: trace.hash,
      trace: trace.lines,
      effects,
      batches,
      faults: Object.fromEntries(hits),
      isCounted: batches >= 3 && effects >= 30 && hits.size > 0,
      virtualMs: time.nowMs,
    };
  }
}
