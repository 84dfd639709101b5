/** Workers that die at every moment, in virtual time, over a store of your own: the simulator finds what that breaks. */
import type { Quote } from 'fintrack-pipelines';
import { findViolation, memoryStore, type OpenStore } from 'fintrack-pipelines/testing';

/** It stores the rows of a batch in another transaction than the batch itself: a worker that dies in between loses them. */
const splitStore: OpenStore = (options) => {
  const whole = memoryStore(options);
  const rows = new Map<string, Quote>();
  return {
    rows: () => rows,
    sink: (database) => {
      const sink = whole.sink(database);
      return {
        ...sink,
        write: async (batch, call) => {
          const result = await sink.write(batch, call);
          const quotes = batch.outcomes.flatMap((outcome) => (outcome.status === 'ok' ? [outcome.value] : []));
          await database.run('store the rows', () => {
            for (const quote of quotes) rows.set(`${quote.symbol} ${quote.assetType}`, quote);
          });
          return result;
        },
      };
    },
  };
};

const { violation } = await findViolation({ store: splitStore, seed: 1, runs: 100, shrinkRuns: 30 });
console.log('found:', violation?.violations[0]?.includes('there is no row'));
// found: true
console.log('made smaller:', (violation?.shrinks ?? 0) > 0);
// made smaller: true
