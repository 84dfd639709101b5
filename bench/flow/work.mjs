/** What every contestant does to every item, so that they differ in nothing but how the items get from stage to stage. */
export const concurrency = 4;
export const batchSize = 100;

export function* numbers(count) {
  for (let number = 0; number < count; number++) yield number;
}

export const toAsset = (number) => ({ symbol: `S${number}`, number });

export const isWanted = ({ number }) => number % 10 !== 0;

/** The asynchronous stage: answers in a later turn of the event loop, as a database does. */
export const store = (batch) => new Promise((resolve) => setImmediate(resolve, batch.length));
