import { batchSize, concurrency, isWanted, numbers, store, toAsset } from './work.mjs';

export async function byHand(count) {
  const running = new Set();
  let delivered = 0;
  const start = (batch) => {
    const stored = store(batch).then((size) => {
      delivered += size;
      running.delete(stored);
    });
    running.add(stored);
  };

  let batch = [];
  for (const number of numbers(count)) {
    const asset = toAsset(number);
    if (!isWanted(asset)) continue;
    batch.push(asset);
    if (batch.length < batchSize) continue;
    if (running.size >= concurrency) await Promise.race(running);
    start(batch);
    batch = [];
  }
  if (batch.length > 0) start(batch);
  await Promise.all(running);
  return delivered;
}
