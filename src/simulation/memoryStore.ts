import { memorySink } from '../memory/memorySink.ts';
import type { Ledger, Sink } from '../model/ports.ts';
import type { Asset, Quote } from '../model/records.ts';
import { keyOfAsset } from './assets.ts';
import type { DatabaseClient } from './SimulatedDatabase.ts';

/** What survives the processes, and how each of them reaches it. */
export interface SimulatedStore {
  /** The sink of one process: everything that it does to what survives goes through `database`. */
  sink(database: DatabaseClient): Sink<Asset, Quote> & { readonly ledger: Ledger<Asset, Quote> };
  /** The rows as they are, by symbol and asset type, such as `AAPL STOCK`. */
  rows(): ReadonlyMap<string, Quote>;
}

/** Opens an empty store; `now` is the clock of its database. */
export type OpenStore = (options: { readonly now: () => number }) => SimulatedStore;

/** Prices and ledger in memory, behind a database that locks rows and commits. */
export const memoryStore: OpenStore = ({ now }) => {
  const shared = memorySink<Asset, Quote>({ key: keyOfAsset, now });
  const { ledger, rows } = shared;
  return {
    rows: () => rows,
    sink: (database) => ({
      name: 'simulated',
      probe: () => database.run('probe', () => undefined),
      current: (inputs, call) => database.run('find fresh', () => shared.current(inputs, call)),
      write: (batch, { signal }) => {
        const { request, index, outcomes } = batch;
        const keys = outcomes.flatMap((outcome) => (outcome.status === 'ok' ? [keyOfAsset(outcome.input)] : []));
        const row = request === undefined ? [] : [`${request}#${index}`];
        signal.throwIfAborted();
        return database.transaction(`write ${row.join('')}`, [...row, ...keys], () => shared.write(batch));
      },
      ledger: {
        accept: (request) => database.run(`accept ${request.key}`, () => ledger.accept(request)),
        stored: (key, index) => database.run(`stored ${key}#${index}`, () => ledger.stored(key, index)),
        storedNumbers: (key, numbers) => database.run(`stored ${key}`, () => ledger.storedNumbers(key, numbers)),
        storeFailed: (key, batch) =>
          database.transaction(`store failed ${key}#${batch.index}`, [`${key}#${batch.index}`], () =>
            ledger.storeFailed(key, batch),
          ),
        begin: (start, below) => database.run(`begin ${start.key}`, () => ledger.begin(start, below)),
        handBack: (start) => database.run(`hand back ${start.key}`, () => ledger.handBack(start)),
        async *batches(key, numbers) {
          yield* await database.run(`batches ${key}`, async () => {
            const batches = [];
            for await (const batch of ledger.batches(key, numbers)) batches.push(batch);
            return batches;
          });
        },
      },
    }),
  };
};
