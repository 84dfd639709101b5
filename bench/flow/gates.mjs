import { fromPull, mergeMapBounded } from 'fintrack-pipelines';
import { bufferCount, filter, lastValueFrom, map, reduce } from 'rxjs';
import { batchSize, concurrency, isWanted, numbers, store, toAsset } from './work.mjs';

export const gates = (count) =>
  lastValueFrom(
    fromPull(() => numbers(count)).pipe(
      map(toAsset),
      filter(isWanted),
      bufferCount(batchSize),
      mergeMapBounded(store, { concurrency }),
      reduce((delivered, size) => delivered + size, 0),
    ),
  );
